"""Scores of a model on held-out rows, for many resamples of the rows at once.

`weights` has the shape `[resamples, rows]`: how often each row counts in each resample. Every score is an array
`[resamples]`; one resample in which every row counts once gives the plain score.
"""

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data import Task

Scores = dict[str, NDArray[np.float64]]
Weights = NDArray[np.float64]

NAMES: dict[Task, tuple[str, ...]] = {
    "classification": ("accuracy", "precision", "recall", "f1"),
    "regression": ("mae", "r2"),
}
DECIDING: dict[Task, str] = {"classification": "f1", "regression": "mae"}
SMALLER_IS_BETTER = frozenset({"mae"})
RESAMPLES = 2000


@functools.lru_cache(maxsize=4)
def bootstrap_weights(rows: int, seed: int, resamples: int = RESAMPLES) -> Weights:
    """Weights of `resamples` draws of `rows` rows with replacement."""
    counts = np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), size=resamples)
    return counts.astype(np.float64)


def scores(task: Task, truth: NDArray[Any], predicted: NDArray[Any], classes: int, weights: Weights) -> Scores:
    """Scores of the task; precision, recall and F1 of the last of two classes, or the mean over more (macro)."""
    if task == "regression":
        return _regression(truth.astype(np.float64), predicted.astype(np.float64), weights)
    return _classification(truth, predicted, classes, weights)


def _classification(truth: NDArray[Any], predicted: NDArray[Any], classes: int, weights: Weights) -> Scores:
    kinds = np.array([1]) if classes == 2 else np.arange(classes)
    is_truth = (truth[:, None] == kinds).astype(np.float64)
    is_predicted = (predicted[:, None] == kinds).astype(np.float64)
    right = (truth == predicted).astype(np.float64)
    hits, actual, claimed = weights @ (is_truth * is_predicted), weights @ is_truth, weights @ is_predicted
    return {
        "accuracy": weights @ right / weights.sum(axis=1),
        "precision": _ratio(hits, claimed).mean(axis=1),
        "recall": _ratio(hits, actual).mean(axis=1),
        "f1": _ratio(2 * hits, actual + claimed).mean(axis=1),
    }


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """`part / whole`, and 0 where nothing was claimed or present."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _regression(truth: NDArray[np.float64], predicted: NDArray[np.float64], weights: Weights) -> Scores:
    total = weights.sum(axis=1)
    # Around the mean: squares of large targets would lose their digits.
    centred = truth - truth.mean()
    spread = weights @ centred**2 - (weights @ centred) ** 2 / total
    squares = weights @ (truth - predicted) ** 2
    return {
        "mae": weights @ np.abs(truth - predicted) / total,
        "r2": 1 - np.divide(squares, spread, out=np.full_like(squares, np.inf), where=spread > 0),
    }
