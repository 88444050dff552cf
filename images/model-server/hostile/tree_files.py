"""Files of XGBoost, LightGBM and skops whose trees lead out of memory, or which hold code."""

import functools
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import skops.io
import xgboost
from server_testing import NAMES
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.tree import DecisionTreeClassifier

from hostile.artifact_files import Content, Payload

TREE, PREDICTOR = "sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"


@functools.cache
def rows() -> tuple[Any, Any]:
    """Rows of three columns and their class, the position of the largest value."""
    inputs = np.random.default_rng(0).uniform(-1, 2, (300, len(NAMES))).astype(np.float32)
    return inputs, inputs.argmax(axis=1)


@functools.cache
def xgboost_model() -> bytes:
    """A good model."""
    model = xgboost.XGBClassifier(n_estimators=3, max_depth=3, n_jobs=1).fit(*rows())
    return bytes(model.get_booster().save_raw("json"))


@functools.cache
def lightgbm_model() -> str:
    """A good model."""
    model = lightgbm.LGBMClassifier(n_estimators=3, num_leaves=4, n_jobs=1, verbose=-1).fit(*rows())
    text: str = model.booster_.model_to_string()
    return text


def xgboost_contents() -> dict[str, bytes]:
    """Content of each case, by name."""

    def changed(path: str, value: Any) -> bytes:
        """The good model with one value, found by its path, replaced."""
        document = json.loads(xgboost_model())
        *folders, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        functools.reduce(lambda inner, part: inner[part], folders, document)[last] = value
        return json.dumps(document).encode()

    tree = "learner.gradient_booster.model.trees.0"
    return {
        "cut": xgboost_model()[:1000],
        "no model": b'{"learner": {}, "version": [3, 2, 0]}',
        "lists in lists": b'{"learner": ' + b"[" * 100_000,
        "child beyond the tree": changed(f"{tree}.left_children.0", 2**30),
        "child before the tree": changed(f"{tree}.left_children.0", -7),
        "tree in a loop": changed(f"{tree}.left_children.1", 0),
        "column beyond the row": changed(f"{tree}.split_indices.0", 10**6),
        "class beyond the classes": changed("learner.gradient_booster.model.tree_info.0", 10**6),
        "tree number beyond the trees": changed(f"{tree}.id", 10**6),
        "lists of other lengths": changed(f"{tree}.split_conditions", [1.0]),
        "more trees promised": changed("learner.gradient_booster.model.gbtree_model_param.num_trees", "999999999"),
        "rounds beyond the trees": changed("learner.gradient_booster.model.iteration_indptr", [0, 10**6]),
        "NaN leaf": changed(f"{tree}.split_conditions.0", float("nan")),
        "categories": changed(f"{tree}.split_type.0", 1),
        "linear model": changed("learner.gradient_booster.name", "gblinear"),
        "other objective": changed("learner.objective.name", "multi:softmax"),
        "other classes": changed("learner.learner_model_param.num_class", "4"),
        "other columns": changed("learner.learner_model_param.num_feature", "4"),
        "text for a number": changed("learner.learner_model_param.base_score", "nan()"),
    }


def lightgbm_contents() -> dict[str, bytes]:
    """Content of each case, by name."""

    def changed(line: str, value: str) -> bytes:
        """The good model with the first line of this name replaced."""
        return re.sub(rf"^{line}=.*$", f"{line}={value}", lightgbm_model(), count=1, flags=re.MULTILINE).encode()

    return {
        "cut": lightgbm_model()[:800].encode(),
        "only a head": b"tree\n",
        "no text": b"tree\n\xff\xfe\x00",
        "child beyond the tree": changed("left_child", "1000000 2 -2"),
        "leaf beyond the tree": changed("left_child", "-1000000 2 -2"),
        "tree in a loop": changed("left_child", "0 0 0"),
        "column beyond the row": changed("split_feature", "0 1000000 2"),
        "lists of other lengths": changed("threshold", "1.0"),
        "more leaves promised": changed("num_leaves", "1000000000"),
        "categories": changed("num_cat", "1"),
        "split by category": changed("decision_type", "1 1 1"),
        "NaN leaf": changed("leaf_value", "nan 0 0 0"),
        "more classes promised": changed("num_class", "1000000"),
        "more columns promised": changed("max_feature_idx", "999999999"),
        "other objective": changed("objective", "lambdarank"),
        "objective with more": changed("objective", "multiclass num_class:3 file:/etc/passwd"),
        "other columns": changed("max_feature_idx", "3"),
        "one name twice": changed("version", "v4\nversion=v4"),
    }


def _node(kind: str, module: str, loader: str, **more: Any) -> dict[str, Any]:
    return {"__class__": kind, "__module__": module, "__loader__": loader, **more}


def _text(value: Any) -> dict[str, Any]:
    return _node("str", "builtins", "JsonNode", content=json.dumps(value), is_json=True)


def _archive(schema: Any, files: dict[str, bytes] | None = None, method: int = zipfile.ZIP_STORED) -> bytes:
    text = schema if isinstance(schema, str) else json.dumps(schema | {"protocol": 2, "_skops_version": "0.16.0"})
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in {"schema.json": text.encode(), **(files or {})}.items():
            archive.writestr(name, content)
    return target.getvalue()


def _call(module: str, function: str, marker: Path) -> dict[str, Any]:
    """A call of any class, written as the call of a constructor."""
    command = ["touch", str(marker)]
    arguments = _node(
        "tuple",
        "builtins",
        "TupleNode",
        content=[_node("list", "builtins", "ListNode", content=[_text(part) for part in command])],
    )
    return _node(function, module, "ConstructorFromReduceNode", content=arguments)


def _model(part: dict[str, Any]) -> dict[str, Any]:
    """A model of which `part` is an attribute."""
    attributes = {
        "content": {"coef_": part},
        "key_types": _node("list", "builtins", "ListNode", content=[_node("str", "builtins", "TypeNode")]),
    }
    content = _node("dict", "builtins", "DictNode", **attributes)
    return _node("LogisticRegression", "sklearn.linear_model._logistic", "ObjectNode", content=content)


def _broken_tree(field: str, value: int) -> bytes:
    """A tree of scikit-learn that goes on at node `value`, or splits the column `value`."""
    estimator = DecisionTreeClassifier(max_depth=3).fit(*rows())
    tree = estimator.tree_
    state = tree.__getstate__()
    state["nodes"][field][0] = value
    tree.__setstate__(state)
    content: bytes = skops.io.dumps(estimator)
    return content


def _long_tree() -> bytes:
    """A tree of scikit-learn that says that it has more nodes than it has."""
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(DecisionTreeClassifier(max_depth=3).fit(*rows())))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    schema = json.loads(files.pop("schema.json"))
    promised = schema["content"]["content"]["tree_"]["content"]["content"]["node_count"]
    # Under an id of its own, since skops takes equal ids for one object.
    promised |= {"content": str(10**9), "__id__": 0}
    return _archive(schema, files)


def _broken_predictor() -> bytes:
    estimator = HistGradientBoostingClassifier(max_iter=2, max_depth=3).fit(*rows())
    estimator._predictors[0][0].nodes["left"][0] = 10**9
    content: bytes = skops.io.dumps(estimator)
    return content


def skops_contents() -> dict[str, tuple[Content, list[str]]]:
    """Content and the signature's trusted types of each case, by name."""

    def operator(marker: Path) -> bytes:
        # CVE-2025-54412: an operator that only names itself harmless.
        function = _node("system", "os", "FunctionNode")
        attributes = _node("tuple", "builtins", "TupleNode", content=[function, _text(f"touch '{marker}'")])
        return _archive(_model(_node("call", "operator", "OperatorFuncNode", attrs=attributes)))

    def method(_marker: Path) -> bytes:
        # CVE-2025-54413: a method whose object is another than it says.
        inner = _node("Popen", "subprocess", "ObjectNode")
        content = {"func": "communicate", "obj": inner}
        return _archive(_model(_node("Ridge", "sklearn.linear_model._ridge", "MethodNode", content=content)))

    def array(marker: Path) -> bytes:
        target = io.BytesIO()
        np.save(target, np.array([Payload(marker)], dtype=object))
        node = _node("ndarray", "numpy", "NdArrayNode", type="numpy", file="1.npy")
        return _archive(_model(node), {"1.npy": target.getvalue()})

    def popen(marker: Path) -> bytes:
        return _archive(_model(_call("subprocess", "Popen", marker)))

    good = skops.io.dumps(DecisionTreeClassifier(max_depth=3).fit(*rows()))
    return {
        "call of Popen": (popen, []),
        "call of Popen, trusted": (popen, ["subprocess.Popen"]),
        "everything trusted": (good, ["*"]),
        "all of sklearn trusted": (good, ["sklearn.*"]),
        "operator": (operator, []),
        "method": (method, []),
        "array of objects": (array, []),
        "no estimator": (_archive(_text([1, 2])), []),
        "tree that is not trusted": (good, []),
        "child beyond the tree": (_broken_tree("left_child", 10**9), [TREE]),
        "tree in a loop": (_broken_tree("left_child", 0), [TREE]),
        "column beyond the row": (_broken_tree("feature", 10**9), [TREE]),
        "more nodes promised": (_long_tree(), [TREE]),
        "child beyond the boosted tree": (_broken_predictor(), [PREDICTOR]),
        "schema in schema": (_archive('{"a":' * 100_000), []),
        "zip bomb": (_archive(_text([]), {"1.npy": bytes(2**26)}, zipfile.ZIP_DEFLATED), []),
        "path in the archive": (_archive(_text([]), {"../../etc/cron.d/x": b"x"}), []),
    }
