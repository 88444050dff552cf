"""Models of every format answer as the library that made them, in any batch size, and load that library only."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import onnxruntime
import pytest
import skl2onnx
import skops.io
import xgboost
from modelway_server.runtimes import NonFiniteError, UndeclaredError, load
from modelway_server.runtimes.onnx_file import OPERATORS
from modelway_server.runtimes.sklearn import _check_trees
from modelway_server.startup import StartupError
from onnx import helper
from server_testing import CLASSES, FILES, NAMES, ONNX_CLASSIFIER, ONNX_REGRESSOR, write_artifact
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeClassifier

TREE, PREDICTOR = "sklearn.tree._tree.Tree", "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"
ROWS = np.random.default_rng(1).uniform(-1, 2, (400, len(NAMES))).astype(np.float32)
CLASS, VALUE = ROWS.argmax(axis=1), ROWS @ np.array([1.0, -2.0, 3.0], dtype=np.float32)
QUIET = {"n_jobs": 1, "verbose": -1}


def as_onnx(estimator: Any) -> bytes:
    options = {"zipmap": False} if hasattr(estimator, "classes_") else None
    names = {"features": ONNX_CLASSIFIER["input"]}
    converted = skl2onnx.to_onnx(
        estimator, initial_types=[(names["features"], skl2onnx.common.data_types.FloatTensorType([None, len(NAMES)]))],
        options=options, target_opset={"": 18, "ai.onnx.ml": 3},
    )  # fmt: skip
    content: bytes = converted.SerializeToString()
    return content


def as_pickle(estimator: Any, folder: Path) -> bytes:
    joblib.dump(estimator, folder / "saved")
    return (folder / "saved").read_bytes()


def content_of(kind: str, estimator: Any, folder: Path) -> bytes:
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "onnx":
        return as_onnx(estimator)
    if kind == "xgboost":
        return bytes(estimator.get_booster().save_raw("json"))
    if kind == "lightgbm":
        return str(estimator.booster_.model_to_string()).encode()
    return skops.io.dumps(estimator) if kind == "skops" else as_pickle(estimator, folder)


def artifact(kind: str, estimator: Any, folder: Path) -> Path:
    classify = hasattr(estimator, "classes_")
    model: dict[str, Any] = {"format": kind}
    if kind == "onnx":
        model = ONNX_CLASSIFIER if classify else ONNX_REGRESSOR
    if kind == "skops":
        model["trusted"] = skops.io.get_untrusted_types(data=skops.io.dumps(estimator))
    classes = CLASSES[: len(estimator.classes_)] if classify else None
    task = "classification" if classify else "regression"
    return write_artifact(folder, task, content_of(kind, estimator, folder), model=model, classes=classes)


CASES = {
    "onnx, 3 classes": ("onnx", GradientBoostingClassifier(n_estimators=20, random_state=0), CLASS),
    "onnx, value": ("onnx", GradientBoostingRegressor(n_estimators=20, random_state=0), VALUE),
    "xgboost, 2 classes": ("xgboost", xgboost.XGBClassifier(n_estimators=20, n_jobs=1), CLASS > 0),
    "xgboost, 3 classes": ("xgboost", xgboost.XGBClassifier(n_estimators=20, n_jobs=1), CLASS),
    "xgboost, value": ("xgboost", xgboost.XGBRegressor(n_estimators=20, n_jobs=1), VALUE),
    "xgboost, poisson": ("xgboost", xgboost.XGBRegressor(n_estimators=9, objective="count:poisson"), CLASS),
    "xgboost, forest": ("xgboost", xgboost.XGBRFClassifier(n_estimators=9, n_jobs=1), CLASS),
    "lightgbm, 2 classes": ("lightgbm", lightgbm.LGBMClassifier(n_estimators=20, **QUIET), CLASS > 0),
    "lightgbm, 3 classes": ("lightgbm", lightgbm.LGBMClassifier(n_estimators=20, **QUIET), CLASS),
    "lightgbm, value": ("lightgbm", lightgbm.LGBMRegressor(n_estimators=20, **QUIET), VALUE),
    "lightgbm, quantile": ("lightgbm", lightgbm.LGBMRegressor(n_estimators=9, objective="quantile", **QUIET), VALUE),
    "lightgbm, forest": (
        "lightgbm",
        lightgbm.LGBMClassifier(n_estimators=9, boosting_type="rf", subsample=0.5, subsample_freq=1, **QUIET),
        CLASS,
    ),
    "lightgbm, one leaf": ("lightgbm", lightgbm.LGBMRegressor(n_estimators=2, min_child_samples=400, **QUIET), VALUE),
    "skops, boosted": ("skops", HistGradientBoostingClassifier(max_iter=5, random_state=0), CLASS),
    "skops, forest": ("skops", RandomForestClassifier(5, n_jobs=-1, random_state=0), CLASS),
    "skops, value": ("skops", RandomForestRegressor(5, random_state=0), VALUE),
    "skops, wider inside": (
        "skops",
        make_pipeline(PolynomialFeatures(2), RandomForestClassifier(5, random_state=0)),
        CLASS,
    ),
    "pickle, 3 classes": ("pickle", make_pipeline(StandardScaler(), LogisticRegression()), CLASS),
    "pickle, value": ("pickle", GradientBoostingRegressor(n_estimators=20, random_state=0), VALUE),
}


@pytest.mark.parametrize("case", CASES)
def test_predictions_are_those_of_the_library_in_every_batch_size(case: str, tmp_path: Path) -> None:
    kind, estimator, answers = CASES[case]
    estimator.fit(ROWS, answers)
    model = load(artifact(kind, estimator, tmp_path), allow_pickle=True)
    model.warm_up(1)
    model.warm_up(100)
    assert model.format == kind
    batches = [ROWS[:1], ROWS[1:2], ROWS[2:9], ROWS[9:], ROWS]
    for rows in batches:
        output = model.predict(rows)
        expected = estimator.predict(rows)
        if hasattr(estimator, "classes_"):
            assert output.prediction == [CLASSES[int(index)] for index in expected]
            np.testing.assert_allclose(output.probability, estimator.predict_proba(rows), rtol=0, atol=1e-5)
        else:
            assert output.probability is None
            np.testing.assert_allclose(output.prediction, expected, rtol=1e-5, atol=1e-5)


def test_early_stopping_answers_as_the_library_does(tmp_path: Path) -> None:
    estimator = xgboost.XGBClassifier(n_estimators=200, early_stopping_rounds=2, learning_rate=1.0, n_jobs=1)
    noisy = np.random.default_rng(0).permutation(CLASS)
    estimator.fit(ROWS[:200], noisy[:200], eval_set=[(ROWS[200:], noisy[200:])], verbose=False)
    assert estimator.best_iteration + 1 < estimator.get_booster().num_boosted_rounds()
    output = load(artifact("xgboost", estimator, tmp_path)).predict(ROWS)
    np.testing.assert_allclose(output.probability, estimator.predict_proba(ROWS), rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", ["onnx, 3 classes", "xgboost, 3 classes", "lightgbm, 3 classes", "skops, boosted"])
def test_threads_that_predict_at_once_get_their_own_answers(case: str, tmp_path: Path) -> None:
    kind, estimator, answers = CASES[case]
    estimator.fit(ROWS, answers)
    model = load(artifact(kind, estimator, tmp_path), threads=2)
    alone = [model.predict(ROWS[start : start + 7]) for start in range(0, 280, 7)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda start: model.predict(ROWS[start : start + 7]), range(0, 280, 7)))
    assert together == alone


@pytest.mark.parametrize(
    ("case", "foreign"),
    [
        ("onnx, 3 classes", ["xgboost", "lightgbm", "sklearn", "skops", "joblib", "scipy", "pandas"]),
        ("xgboost, 3 classes", ["onnxruntime", "lightgbm", "skops"]),
        ("lightgbm, 3 classes", ["onnxruntime", "xgboost", "skops"]),
        ("skops, boosted", ["onnxruntime", "xgboost", "lightgbm"]),
    ],
)
def test_a_server_imports_the_library_of_its_model_only(case: str, foreign: list[str], tmp_path: Path) -> None:
    kind, estimator, answers = CASES[case]
    folder = artifact(kind, estimator.fit(ROWS, answers), tmp_path)
    program = (
        "import json, sys; from pathlib import Path; import modelway_server.main; "
        "from modelway_server.runtimes import load; "
        f"load(Path({str(folder)!r})).warm_up(10); print(json.dumps(sorted(sys.modules)))"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)).isdisjoint(foreign)


def test_a_pickle_is_opened_only_where_that_is_allowed(tmp_path: Path) -> None:
    folder = artifact("pickle", CASES["pickle, 3 classes"][1].fit(ROWS, CLASS), tmp_path)
    load(folder, allow_pickle=True).warm_up(1)
    with pytest.raises(StartupError) as caught:
        load(folder)
    assert str(caught.value) == (
        "model.pickle: can run any code when it is opened: got a pickle, allowed onnx, xgboost, lightgbm or skops; "
        "package the model in one of these formats."
    )


def changed_tree(field: str, value: int) -> Any:
    estimator = DecisionTreeClassifier(max_depth=3).fit(ROWS, CLASS)
    state = estimator.tree_.__getstate__()
    if field in state:
        state[field] = value
    else:
        state["nodes"][field][0] = value
    estimator.tree_.__setstate__(state)
    return estimator


def changed_predictor() -> Any:
    estimator = HistGradientBoostingClassifier(max_iter=2, max_depth=3).fit(ROWS, CLASS)
    estimator._predictors[0][0].nodes["left"][0] = 10**9
    return estimator


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda: changed_tree("left_child", 10**9), "a tree goes on at node 1000000000"),
        (lambda: changed_tree("feature", 10**9), "a tree splits column 1000000000 of 3"),
        (lambda: changed_tree("node_count", 10**9), "a tree promises 1000000000 nodes"),
        (changed_predictor, "a tree goes on at node 1000000000"),
    ],
    ids=["child", "column", "count", "boosted"],
)
def test_trees_are_checked_in_the_estimator_itself(make: Callable[[], Any], fault: str) -> None:
    # What an archive says of its trees before it is opened is not the last word, and a pickle says nothing.
    with pytest.raises(ValueError, match=fault):
        _check_trees(make())


@pytest.mark.parametrize("kind", ["skops", "pickle"])
def test_a_model_of_another_scikit_learn_is_refused(kind: str, tmp_path: Path) -> None:
    folder = artifact(kind, make_pipeline(StandardScaler(), LogisticRegression()).fit(ROWS, CLASS), tmp_path)
    manifest = json.loads((folder / "manifest.json").read_text())
    current = manifest["provenance"]["scikit-learn"]
    manifest["provenance"]["scikit-learn"] = "1.0.2"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StartupError) as caught:
        load(folder, allow_pickle=True)
    assert str(caught.value) == (
        f"{FILES[kind]}: was trained with another scikit-learn: got 1.0.2, allowed {current}; train it again."
    )


def test_rows_with_an_answer_that_is_no_number_are_named(tmp_path: Path) -> None:
    class Odd:
        def __call__(self, rows: Any) -> Any:
            return (np.where(rows[:, 0] > 1, np.nan, rows[:, 0]),)

    model = load(write_artifact(tmp_path, "regression"))
    model._engine = Odd()
    with pytest.raises(NonFiniteError) as caught:
        model.predict(np.array([[0, 0, 0], [2, 0, 0], [1, 0, 0], [3, 0, 0]], dtype=np.float32))
    assert caught.value.rows == (1, 3)


@pytest.mark.parametrize("index", [-1, 3])
def test_a_class_that_the_signature_does_not_declare_is_never_answered(tmp_path: Path, index: int) -> None:
    model = load(write_artifact(tmp_path))
    model._engine = lambda rows: (np.full(len(rows), index), np.zeros((len(rows), 3), dtype=np.float32))
    with pytest.raises(UndeclaredError, match=f"class {index} of 3"):
        model.predict(ROWS[:2])


def test_answers_for_other_rows_than_asked_are_refused(tmp_path: Path) -> None:
    model = load(write_artifact(tmp_path, "regression"))
    model._engine = lambda rows: (rows[1:, 0],)
    with pytest.raises(UndeclaredError, match="1 values for 2 rows"):
        model.predict(ROWS[:2])


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("requirements.txt", ["onnxruntime"]),
        ("requirements-xgboost.txt", ["scipy", "xgboost-cpu"]),
        ("requirements-lightgbm.txt", ["lightgbm", "scipy"]),
        ("requirements-sklearn.txt", ["scikit-learn", "scipy"]),
    ],
)
def test_an_image_has_the_library_of_its_format_only(name: str, needed: list[str]) -> None:
    text = (Path(__file__).parents[1] / name).read_text()
    installed = {line.partition("==")[0] for line in text.splitlines() if "==" in line}
    libraries = {"scikit-learn", "scipy", "xgboost-cpu", "lightgbm", "onnx", "onnxruntime", "pandas"}
    assert sorted(installed & libraries) == needed


@pytest.mark.parametrize("domain", ["", "ai.onnx.ml"])
def test_the_newest_operators_are_those_of_the_onnx_runtime(domain: str) -> None:
    def opened(version: int) -> bool:
        features, answer = (helper.make_tensor_value_info(name, 1, [None, 3]) for name in ("x", "y"))
        graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [features], [answer])
        operators = [helper.make_opsetid(name, number) for name, number in ({"": 18} | {domain: version}).items()]
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            model = helper.make_model(graph, opset_imports=operators, ir_version=8).SerializeToString()
            onnxruntime.InferenceSession(model, options)
        except Exception:
            return False
        return True

    assert (opened(OPERATORS[domain]), opened(OPERATORS[domain] + 1)) == (True, False)
