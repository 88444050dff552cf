"""LightGBM models in its own text, by LightGBM. What it opens is written anew from what was checked."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelway_server.artifact import REBUILD
from modelway_server.runtimes.base import Engine, Rows
from modelway_server.runtimes.trees import check_tree
from modelway_server.signature import Manifest, Signature
from modelway_server.startup import StartupError, sentence

PROBABILITIES = {"binary", "multiclass", "multiclassova"}
"""Objectives that answer with probabilities."""
VALUES = {
    "regression", "regression_l1", "huber", "fair", "poisson", "quantile", "mape", "gamma", "tweedie"
}  # fmt: skip
"""Objectives that answer with one value."""

MAX_FEATURES = 100_000

_OBJECTIVE = re.compile(r"[a-z_0-9]+( (sigmoid|num_class|alpha|c|tweedie_variance_power):[0-9.e+-]{1,30}| sqrt)*")
_ENTRY = re.compile(r"([a-z_]+)=([^\n]*)")

Fields = dict[str, str]


class _Text(NamedTuple):
    head: Fields
    trees: list[Fields]


class _Quiet:
    """Takes LightGBM's messages: what matters comes as an exception, and standard output is not theirs."""

    def info(self, _text: str) -> None:
        """Say nothing."""

    warning = info


def open_model(content: bytes, signature: Signature, _manifest: Manifest, threads: int) -> Engine:
    """Open a text model.

    Raises `StartupError` when it does not fit the signature, `ValueError` or `KeyError` when it is broken.
    """
    text = _parse(content)
    model = "\n".join([*_head(text.head), *_trees(text), "end of trees", ""])
    _check_fit(signature.model.file, text.head, signature)
    # Not before: a file that is refused is refused without the library, and at once.
    import lightgbm

    lightgbm.register_logger(_Quiet())
    booster = lightgbm.Booster(model_str=model)

    def predict(rows: Rows) -> NDArray[np.float64]:
        return np.asarray(booster.predict(rows, num_threads=threads))

    def classify(rows: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
        answer = predict(rows)
        probability = answer if answer.ndim == 2 else np.stack([1 - answer, answer], axis=1)
        return probability.argmax(axis=1), probability

    return (lambda rows: (predict(rows),)) if signature.classes is None else classify


def _parse(content: bytes) -> _Text:
    """The fields of the head and of each tree; what follows the trees is how the model was trained."""
    body, end, _ = content.decode().replace("\r\n", "\n").partition("\nend of trees\n")
    if not end:
        raise ValueError("no end of trees")
    head, *trees = re.split(r"\n+Tree=\d+\n", body)
    lines = head.split("\n")
    if lines[0] != "tree":
        raise ValueError("no head")
    # A forest's mark, the one line without a value: its trees are averaged.
    fields = {"average_output": ""} if "average_output" in lines else {}
    return _Text(
        fields | _fields(line for line in lines[1:] if line != "average_output"),
        [_fields(tree.split("\n")) for tree in trees],
    )


def _fields(lines: Any) -> Fields:
    fields: Fields = {}
    for line in lines:
        match = _ENTRY.fullmatch(line)
        if line and (match is None or match.group(1) in fields):
            raise ValueError(f"line {line[:50]!r}")
        if match is not None:
            fields[match.group(1)] = match.group(2)
    return fields


def _head(head: Fields) -> Iterator[str]:
    """The head as LightGBM wants it, with names that need no care."""
    if head["version"] not in ("v3", "v4"):
        raise ValueError(f"version {head['version'][:20]}")
    if not _OBJECTIVE.fullmatch(head["objective"]):
        raise ValueError(f"objective {head['objective'][:50]!r}")
    width = _whole(head["max_feature_idx"]) + 1
    if width > MAX_FEATURES:
        raise ValueError(f"{width} features")
    yield "tree"
    yield f"version={head['version']}"
    for name in ("num_class", "num_tree_per_iteration", "max_feature_idx"):
        yield f"{name}={_whole(head[name])}"
    yield "label_index=0"
    yield f"objective={head['objective']}"
    if "average_output" in head:
        yield "average_output"
    yield "feature_names=" + " ".join(f"f{index}" for index in range(width))
    yield "feature_infos=" + " ".join(["none"] * width)
    yield ""


def _whole(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise ValueError(f"number {text[:50]!r}")
    return int(text)


def _trees(text: _Text) -> Iterator[str]:
    """The trees, each number checked; raises `ValueError` for one that LightGBM would follow out of its memory."""
    width, groups = _whole(text.head["max_feature_idx"]) + 1, _whole(text.head["num_tree_per_iteration"])
    if groups < 1 or groups != _whole(text.head["num_class"]) or len(text.trees) % groups:
        raise ValueError(f"{len(text.trees)} trees in rounds of {groups}")
    for index, tree in enumerate(text.trees):
        leaves = _whole(tree["num_leaves"])
        if leaves < 1 or tree.get("num_cat", "0") != "0" or tree.get("is_linear", "0") != "0":
            raise ValueError(f"tree {index} has categories, linear leaves or no leaf")
        yield f"Tree={index}"
        yield f"num_leaves={leaves}"
        yield "num_cat=0"
        if leaves > 1:
            yield from _splits(tree, leaves, width)
        yield _numbers("leaf_value", tree, leaves)
        yield "is_linear=0"
        yield f"shrinkage={_floats(tree.get('shrinkage', '1'), 1)[0]!r}"
        yield ""


def _splits(tree: Fields, leaves: int, width: int) -> Iterator[str]:
    lists = {
        name: _indices(tree[name], leaves - 1)
        for name in ("split_feature", "decision_type", "left_child", "right_child")
    }
    left, right, kinds = lists["left_child"], lists["right_child"], lists["decision_type"]
    # Bit 0: by category. Bit 1: which way missing values go. Bits 2 and 3: what is missing.
    if kinds.min() < 0 or kinds.max() > 15 or (kinds & 1).any():
        raise ValueError("a tree splits by category")
    # LightGBM writes leaf i as child -i - 1; here the leaves follow the inner nodes.
    pad, inner = np.zeros(leaves, dtype=np.int64), np.arange(2 * leaves - 1) < leaves - 1
    left, right = (np.concatenate([np.where(child < 0, leaves - 2 - child, child), pad]) for child in (left, right))
    check_tree(left, right, np.concatenate([lists["split_feature"], pad]), inner, width)
    for name, values in lists.items():
        yield f"{name}={' '.join(map(str, values.tolist()))}"
    yield _numbers("threshold", tree, leaves - 1)


def _indices(text: str, count: int) -> NDArray[np.int64]:
    values = np.asarray(text.split(), dtype=np.int64)
    if len(values) != count or (abs(values) > 2**30).any():
        raise ValueError("a tree's lists differ in length or hold no index")
    return values


def _floats(text: str, count: int) -> list[float]:
    values = np.asarray(text.split(), dtype=np.float64)
    if len(values) != count or not np.isfinite(values).all():
        raise ValueError("a tree's lists differ in length or hold no number")
    numbers: list[float] = values.tolist()
    return numbers


def _numbers(name: str, tree: Fields, count: int) -> str:
    return f"{name}={' '.join(map(repr, _floats(tree[name], count)))}"


def _check_fit(file: str, head: Fields, signature: Signature) -> None:
    classes, name = signature.classes, head["objective"].partition(" ")[0]
    wanted = VALUES if classes is None else PROBABILITIES
    if name not in wanted:
        allowed = f"one of {', '.join(sorted(wanted))}"
        raise StartupError(sentence(file, "has another objective", repr(name), allowed, REBUILD))
    width = int(head["max_feature_idx"]) + 1
    if width != len(signature.features):
        got, allowed = f"{width} features", f"{len(signature.features)}"
        raise StartupError(sentence(file, "input does not fit the signature", got, allowed, REBUILD))
    found = int(head["num_class"]) if name != "binary" else 2
    if found != len(classes or ("",)):
        got, allowed = f"{found} classes", f"{len(classes or ())}"
        raise StartupError(sentence(file, "classes do not fit the signature", got, allowed, REBUILD))
