"""XGBoost models in its own JSON, by XGBoost. What it opens is written anew from what was checked."""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelway_server.artifact import REBUILD
from modelway_server.runtimes.base import Engine, Rows
from modelway_server.runtimes.trees import check_tree
from modelway_server.signature import Manifest, Signature
from modelway_server.startup import StartupError, sentence

PROBABILITIES = {"binary:logistic", "multi:softprob"}
"""Objectives that answer with probabilities."""
VALUES = {
    "reg:squarederror", "reg:squaredlogerror", "reg:logistic", "reg:pseudohubererror", "reg:absoluteerror",
    "reg:gamma", "reg:tweedie", "count:poisson",
}  # fmt: skip
"""Objectives that answer with one value."""

Finite = Annotated[float, Field(allow_inf_nan=False)]
Index = Annotated[int, Field(strict=True, ge=-(2**31), lt=2**31)]
Count = Annotated[str, Field(pattern=r"^\d{1,9}$")]
Empty = Annotated[list[int], Field(max_length=0)]
"""A list of something that this server does not do; without an entry it does no harm."""


class _Part(BaseModel):
    # A field that is not named here does not reach XGBoost.
    model_config = ConfigDict(extra="ignore")


class _TreeParameters(_Part):
    num_nodes: Count
    num_feature: Count
    num_deleted: Count = "0"
    size_leaf_vector: Literal["0", "1"] = "1"


class _Tree(_Part):
    id: Index
    tree_param: _TreeParameters
    base_weights: list[Finite]
    loss_changes: list[Finite]
    sum_hessian: list[Finite]
    split_conditions: list[Finite]
    split_indices: list[Index]
    split_type: list[Literal[0]]
    default_left: list[Annotated[bool | int, Field(ge=0, le=1)]]
    left_children: list[Index]
    right_children: list[Index]
    parents: list[Index]
    categories: Empty = []
    categories_nodes: Empty = []
    categories_segments: Empty = []
    categories_sizes: Empty = []


class _TreesParameters(_Part):
    num_trees: Count
    num_parallel_tree: Count = "1"


class _Categories(_Part):
    enc: Empty = []
    feature_segments: Empty = []
    sorted_idx: Empty = []


class _Trees(_Part):
    gbtree_model_param: _TreesParameters
    tree_info: list[Index]
    trees: list[_Tree]
    iteration_indptr: list[Index] | None = None
    cats: _Categories = _Categories()


class _Booster(_Part):
    name: Literal["gbtree"]
    model: _Trees


class _Parameters(_Part):
    base_score: Annotated[str, Field(pattern=r"^\[?[-+0-9.eE,]{1,4000}\]?$")]
    num_class: Count
    num_feature: Count
    num_target: Literal["0", "1"] = "1"
    boost_from_average: Literal["0", "1"] = "1"


class _Objective(_Part):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, dict[str, Annotated[str, Field(max_length=100)]]]
    name: str


class _Attributes(_Part):
    best_iteration: Count | None = None


class _Learner(_Part):
    attributes: _Attributes = _Attributes()
    gradient_booster: _Booster
    learner_model_param: _Parameters
    objective: _Objective


class _Document(_Part):
    learner: _Learner
    version: Annotated[list[Index], Field(min_length=3, max_length=3)]


def open_model(content: bytes, signature: Signature, _manifest: Manifest, threads: int) -> Engine:
    """Open a JSON model; raises `StartupError` or `ValueError` when it is broken or does not fit the signature."""
    document = _checked(signature.model.file, content, signature)
    # Not before: a file that is refused is refused without the library, and at once.
    import xgboost

    booster = xgboost.Booster({"nthread": threads})
    booster.load_model(bytearray(document.model_dump_json(exclude_none=True).encode()))
    best = document.learner.attributes.best_iteration
    # As XGBoost's scikit-learn classes do: the trees after the best round are not asked.
    rounds = (0, int(best) + 1) if best is not None else (0, 0)

    def predict(rows: Rows) -> NDArray[np.float32]:
        answer: NDArray[np.float32] = booster.inplace_predict(rows, iteration_range=rounds, validate_features=False)
        return answer

    def classify(rows: Rows) -> tuple[NDArray[Any], NDArray[Any]]:
        answer = predict(rows)
        probability = answer if answer.ndim == 2 else np.stack([1 - answer, answer], axis=1)
        return probability.argmax(axis=1), probability

    return (lambda rows: (predict(rows),)) if signature.classes is None else classify


def _checked(file: str, content: bytes, signature: Signature) -> _Document:
    try:
        document = _Document.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what, got = "cannot be opened", f"{where}: {first['msg']}".removeprefix(": ")
        raise StartupError(sentence(file, what, got, "numeric trees (gbtree) of XGBoost as JSON", REBUILD)) from None
    _check_fit(file, document.learner, signature)
    groups = max(1, int(document.learner.learner_model_param.num_class))
    _check_trees(document.learner.gradient_booster.model, len(signature.features), groups)
    return document


def _check_fit(file: str, learner: _Learner, signature: Signature) -> None:
    parameters, classes = learner.learner_model_param, signature.classes
    wanted = VALUES if classes is None else PROBABILITIES
    if learner.objective.name not in wanted:
        allowed = f"one of {', '.join(sorted(wanted))}"
        raise StartupError(sentence(file, "has another objective", repr(learner.objective.name), allowed, REBUILD))
    if int(parameters.num_feature) != len(signature.features):
        got, allowed = f"{parameters.num_feature} features", f"{len(signature.features)}"
        raise StartupError(sentence(file, "input does not fit the signature", got, allowed, REBUILD))
    found = max(int(parameters.num_class), 2) if classes is not None else int(parameters.num_class)
    if found != len(classes or ()):
        got, allowed = f"{found} classes", f"{len(classes or ())}"
        raise StartupError(sentence(file, "classes do not fit the signature", got, allowed, REBUILD))


def _check_trees(model: _Trees, width: int, groups: int) -> None:
    """Raise `ValueError` for an index that XGBoost would follow out of its memory; `groups` trees make a round."""
    trees, info = model.trees, model.tree_info
    if not len(trees) == len(info) == int(model.gbtree_model_param.num_trees):
        raise ValueError("the numbers of trees differ")
    if [tree.id for tree in trees] != list(range(len(trees))):
        raise ValueError("the trees are not numbered in order")
    if info and not 0 <= min(info) <= max(info) < groups:
        raise ValueError(f"a tree belongs to class {max(info)} of {groups}")
    steps = model.iteration_indptr
    if steps is not None and not (steps[:1] == [0] and steps == sorted(steps) and steps[-1] == len(trees)):
        raise ValueError("the rounds do not end with the trees")
    for tree in trees:
        lists = (tree.base_weights, tree.loss_changes, tree.sum_hessian, tree.split_conditions, tree.split_type)
        count = int(tree.tree_param.num_nodes)
        if any(len(values) != count for values in (*lists, tree.default_left, tree.parents, tree.left_children)):
            raise ValueError("a tree's lists differ in length or are empty")
        left, right = np.asarray(tree.left_children), np.asarray(tree.right_children)
        if (
            int(tree.tree_param.num_feature) != width
            or len(left) != len(right)
            or ((left == -1) != (right == -1)).any()
        ):
            raise ValueError("a tree has another number of columns, or a node with one child")
        check_tree(left, right, np.asarray(tree.split_indices), left != -1, width)
