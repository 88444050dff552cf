"""Checks decision trees that a library would follow without looking: an index out of range reads foreign memory."""

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def check_tree(left: Indices, right: Indices, features: Indices, inner: NDArray[np.bool_], width: int) -> None:
    """Raise `ValueError` unless every path from node 0 ends in a leaf of the same tree.

    `left`, `right` and `features` hold per node its children and the column that it splits; `inner` marks the nodes
    that have children. `width` is the number of columns.
    """
    count = len(left)
    if not (count == len(right) == len(features) == len(inner) > 0):
        raise ValueError("a tree's lists differ in length or are empty")
    split = features[inner]
    if len(split) and (split.min() < 0 or split.max() >= width):
        raise ValueError(f"a tree splits column {_outlier(split, width)} of {width}")
    children = np.concatenate([left[inner], right[inner]])
    if len(children) and (children.min() < 1 or children.max() >= count):
        raise ValueError(f"a tree goes on at node {_outlier(children, count)} of {count}")
    visited, level = 1, np.zeros(1, dtype=np.int64)
    while len(level := level[inner[level]]):
        level = np.concatenate([left[level], right[level]])
        visited += len(level)
        # Each node once, so that there is no loop.
        if visited > count:
            raise ValueError("a tree comes back to one of its nodes")


def check_nodes(nodes: NDArray[np.void], width: int) -> None:
    """Raise `ValueError` unless scikit-learn's nodes, of a `Tree` or a `TreePredictor`, are a tree as above."""
    if "left_child" in (nodes.dtype.names or ()):
        left, right, features = (nodes[name].astype(np.int64) for name in ("left_child", "right_child", "feature"))
        inner = left != -1
    else:
        left, right, features = (nodes[name].astype(np.int64) for name in ("left", "right", "feature_idx"))
        # By category, a tree would look into further tables: column -1 is refused.
        features[nodes["is_categorical"] != 0] = -1
        inner = nodes["is_leaf"] == 0
    check_tree(left, right, features, inner, width)


def _outlier(values: Indices, limit: int) -> int:
    return int(values.max() if values.max() >= limit else values.min())
