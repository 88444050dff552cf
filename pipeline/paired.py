"""Paired tests of two models on the same rows: is the candidate worse than chance explains?

Classification: the exact McNemar test. Of the rows where only one model is right, each is as likely to be the
candidate's as the champion's when both are equally good, so that their number is binomial with one half (McNemar,
Psychometrika 12, 1947; exact as in Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13:91, 2013).
Regression: the Wilcoxon signed-rank test on the differences of the absolute errors (Biometrics Bulletin 1, 1945).
Both are one-sided: only a worse candidate is looked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data import Task

NAMES: dict[Task, str] = {"classification": "exact McNemar", "regression": "Wilcoxon signed-rank"}


@dataclass(frozen=True)
class PairedTest:
    """How the two models differ row by row."""

    name: str
    """The test."""
    better: int
    """Rows where only the candidate is right, or where its error is the smaller one."""
    worse: int
    """Rows where only the champion is right, or where its error is the smaller one."""
    p_value: float
    """Probability of rows that speak so much against the candidate, were both models equally good."""

    def __str__(self) -> str:
        """The test in a few words."""
        return f"{self.name}: {self.better} rows better, {self.worse} worse, p = {self.p_value:.4g}"


def paired_test(task: Task, truth: NDArray[Any], candidate: NDArray[Any], champion: NDArray[Any]) -> PairedTest:
    """The test that suits the task."""
    if task == "regression":
        own, other = (np.abs(truth.astype(np.float64) - each.astype(np.float64)) for each in (candidate, champion))
        better, worse = int((own < other).sum()), int((own > other).sum())
        return PairedTest(NAMES[task], better, worse, _wilcoxon(own - other) if better + worse else 1.0)
    right, rival = candidate == truth, champion == truth
    better, worse = int((right & ~rival).sum()), int((rival & ~right).sum())
    return PairedTest(NAMES[task], better, worse, _mcnemar(better, worse) if better + worse else 1.0)


def _mcnemar(better: int, worse: int) -> float:
    from scipy.stats import binomtest

    return float(binomtest(worse, better + worse, 0.5, alternative="greater").pvalue)


def _wilcoxon(differences: NDArray[np.float64]) -> float:
    from scipy.stats import wilcoxon

    return float(wilcoxon(differences, alternative="greater").pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for their number, in their order (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, position in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, p_values[position] * (len(p_values) - rank)))
        adjusted[position] = largest
    return adjusted
