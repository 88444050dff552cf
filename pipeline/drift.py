"""What live traffic is compared with: bins of the training rows and of the predictions on the held-out rows.

The server's module `modelway_server.drift` says how they are compared.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.store import TrainedModel

ROWS_PER_BIN = 40
"""Reference rows that a bin needs. With fewer, PSI of two samples of the same rows exceeds 0.1 too often: its 99th
percentile is about (1/500 + 1/rows) · χ²(bins − 1), and at 40 rows per bin 0.093 to 0.098 for 2 to 10 bins."""
MAXIMUM_BINS = 10
MINIMUM_BINS = 3
"""Of numbers: two halves barely move when the values shift by a standard deviation."""
MAXIMUM_CLASSES = 20


def reference(model: TrainedModel) -> dict[str, Any]:
    """Distributions of each feature on the training rows, and of the predictions on the held-out rows."""
    prediction, classes = model.predict(model.held_out_rows), model.facts.classes
    if classes is None:
        predicted = _bins(prediction.astype(np.float32))
    else:
        predicted = _classes(np.bincount(prediction.astype(np.int64), minlength=len(classes)), list(classes))
    return {
        "format": 1,
        "features": {name: _bins(model.training_rows[:, index]) for index, name in enumerate(model.facts.features)},
        "prediction": predicted,
    }


def _bins(values: NDArray[np.float32]) -> dict[str, Any]:
    """Inner edges, the count of values per bin (a value on an edge above it), and the count of missing values."""
    present = values[~np.isnan(values)].astype(np.float64)
    edges = _edges(present, min(MAXIMUM_BINS, len(present) // ROWS_PER_BIN))
    counts = np.bincount(np.searchsorted(edges, present, side="right"), minlength=len(edges) + 1)
    return {"edges": edges.tolist(), "counts": counts.tolist(), "missing": len(values) - len(present)}


def _edges(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Edges of at most `bins` bins with rows, halfway between two values; none where there are too few rows.

    Few different values, such as codes of categories, get a bin each, and one below and above for values that the
    reference does not have; a constant is the case of one value. Others are cut at equal shares (deciles from 400 rows
    on); a value so frequent that two cuts fall on it, such as 0 for "none", has a bin to itself.
    Halfway: the server's float32 arithmetic and a client's rounding must not carry a value over an edge.
    """
    different = np.unique(values)
    if bins >= 2 and len(different) <= bins:
        middle = (different[:-1] + different[1:]) / 2
        gaps = np.diff(different) if len(different) > 1 else np.maximum(np.abs(different) * 1e-5, 1e-6)
        return np.concatenate([[different[0] - gaps[0] / 2], middle, [different[-1] + gaps[-1] / 2]])
    if bins < MINIMUM_BINS:
        return np.empty(0)
    found = np.searchsorted(different, np.quantile(values, np.arange(1, bins) / bins))
    cuts, times = np.unique(found, return_counts=True)
    cuts = np.union1d(cuts, cuts[times > 1] + 1)
    # Nothing can be below the smallest value or above the largest.
    cuts = cuts[(cuts > 0) & (cuts < len(different))]
    edges: NDArray[np.float64] = (different[cuts - 1] + different[cuts]) / 2
    return edges


def _classes(counts: NDArray[np.int64], classes: list[Any]) -> dict[str, Any]:
    """Classes with a bin of their own, and the count of rows per bin, the last of them for all other classes."""
    bins = min(MAXIMUM_CLASSES, int(counts.sum()) // ROWS_PER_BIN)
    if bins < 2:
        return {"classes": [], "counts": [int(counts.sum())]}
    kept = np.arange(len(classes))
    if len(classes) > bins:
        # The most frequent; of equally frequent ones the first.
        kept = np.sort(np.argsort(-counts, kind="stable")[: bins - 1])
    rest = int(counts.sum() - counts[kept].sum())
    return {"classes": [classes[index] for index in kept], "counts": [*counts[kept].tolist(), rest]}
