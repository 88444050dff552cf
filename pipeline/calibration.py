"""How far a classifier's probabilities are from what came true, with intervals.

Binary models are judged by the probability of their last class, others by the probability of the class that they
predict. Expected calibration error: rows in bins of equal numbers by probability, and the mean over the rows of the
distance between a bin's mean probability and its share of hits (Naeini, Cooper and Hauskrecht, AAAI 2015). A
bootstrap of it lies above the truth on few rows, so that a rule asks for the whole interval. Brier score: the mean
squared distance between probability and outcome. Shares have exact (Clopper-Pearson) intervals.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import metrics
from pipeline.gate import CONFIDENCE, SEED, Interval

BINS = 10
ROWS_PER_BIN = 20
"""Rows that a bin needs at least: with fewer the share of hits says nothing."""


@dataclass(frozen=True)
class Bin:
    """Rows of similar probability."""

    rows: int
    predicted: float
    """Mean probability."""
    observed: float
    """Share of the rows where it came true."""
    low: float
    """Lower end of the share's 95 % interval."""
    high: float
    """Upper end."""


@dataclass(frozen=True)
class Calibration:
    """Calibration on the held-out rows."""

    error: Interval
    """Expected calibration error."""
    brier: Interval
    """Brier score."""
    bins: tuple[Bin, ...]
    """From the smallest probability to the largest."""


def calibration(truth: NDArray[Any], predicted: NDArray[Any], probability: NDArray[Any]) -> Calibration:
    """Calibration of `probability` `[rows, classes]` of a classifier that answered `predicted`."""
    if probability.shape[1] == 2:
        claimed, hit = probability[:, 1].astype(np.float64), (truth == 1).astype(np.float64)
    else:
        claimed = probability[np.arange(len(truth)), predicted.astype(np.int64)].astype(np.float64)
        hit = (truth == predicted).astype(np.float64)
    order = np.argsort(claimed, kind="stable")
    parts = np.array_split(order, max(1, min(BINS, len(truth) // ROWS_PER_BIN)))
    weights = np.vstack([np.ones((1, len(truth))), metrics.bootstrap_weights(len(truth), SEED)])
    gaps = np.stack([weights[:, part] @ (claimed - hit)[part] for part in parts])
    error = np.abs(gaps).sum(axis=0) / weights.sum(axis=1)
    brier = weights @ (claimed - hit) ** 2 / weights.sum(axis=1)
    return Calibration(_interval(error), _interval(brier), tuple(_bin(claimed[part], hit[part]) for part in parts))


def _interval(samples: NDArray[np.float64]) -> Interval:
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(samples[1:], [tail, 100 - tail])
    return Interval(float(samples[0]), float(low), float(high))


def _bin(claimed: NDArray[np.float64], hit: NDArray[np.float64]) -> Bin:
    from scipy.stats import binomtest

    share = binomtest(int(hit.sum()), len(hit)).proportion_ci(CONFIDENCE, method="exact")
    return Bin(len(hit), float(claimed.mean()), float(hit.mean()), float(share.low), float(share.high))
