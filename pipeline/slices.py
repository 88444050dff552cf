"""Compares two models in parts of the held-out rows, where a loss hides that the whole does not show."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data import Matrix, Task
from pipeline.gate import CONFIDENCE
from pipeline.paired import PairedTest, holm, paired_test
from pipeline.rules import FeatureSlices, SliceRules
from pipeline.store import Facts
from tools.problem import Problem, ProblemError

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Slice:
    """One part of the rows."""

    name: str
    """Which rows: `mean radius from 12 to 15`, `diagnosis is malignant`."""
    rows: int
    metric: str
    """accuracy, or mae for regression."""
    candidate: float | None
    """None without rows."""
    champion: float | None
    """None without rows or champion."""
    test: PairedTest | None
    """Its p-value is adjusted for the number of judged slices (Holm); None where the slice is not judged."""
    worse: bool
    """Whether the candidate is worse here."""

    def __str__(self) -> str:
        """The comparison in one sentence."""
        if self.candidate is None or self.champion is None or self.test is None:
            return f"{self.name}: {self.rows} rows, not judged"
        figures = f"{self.metric} {self.candidate:.4f}, champion {self.champion:.4f}"
        verdict = "the candidate is worse" if self.worse else "the candidate is not worse"
        return f"{self.name} ({self.rows} rows): {figures}; {self.test}: {verdict}"


def compare(
    facts: Facts,
    rows: Matrix,
    truth: NDArray[Any],
    candidate: NDArray[Any],
    champion: NDArray[Any] | None,
    rules: SliceRules,
) -> tuple[Slice, ...]:
    """The slices that `rules` name; raises `ProblemError` for a feature that the model does not have.

    A slice counts as worse when its paired test does at half of one minus the confidence, adjusted for all judged
    slices together, and the loss exceeds the margin.
    """
    masks = list(_masks(facts, rows, truth, rules))
    found = [_slice(facts.task, name, mask, truth, candidate, champion, rules) for name, mask in masks]
    judged = [index for index, each in enumerate(found) if each.test is not None]
    adjusted = holm([test.p_value for each in found if (test := each.test) is not None])
    for index, p_value in zip(judged, adjusted, strict=True):
        each = found[index]
        if each.test is None:
            continue
        significant = p_value < (1 - CONFIDENCE) / 2
        worse = significant and _loss(each) > _allowed(each, rules.margin)
        found[index] = replace(each, test=replace(each.test, p_value=p_value), worse=worse)
    return tuple(found)


def _masks(facts: Facts, rows: Matrix, truth: NDArray[Any], rules: SliceRules) -> Iterator[tuple[str, Mask]]:
    problems = [
        Problem(
            f"slices.features {entry.feature}",
            "is no feature of the model",
            repr(entry.feature),
            ", ".join(facts.features[:10]) + (", …" if len(facts.features) > 10 else ""),
            "correct the rules",
        )
        for entry in rules.features
        if entry.feature not in facts.features
    ]
    if rules.by_class and facts.classes is None:
        problems.append(Problem("slices.byClass", "needs classes", "a regression", "a classification", "remove it"))
    if problems:
        raise ProblemError(problems)
    for index, label in enumerate(facts.classes or () if rules.by_class else ()):
        yield f"{facts.target} is {label}", truth == index
    for entry in rules.features:
        yield from _cuts(entry, rows[:, facts.features.index(entry.feature)])


def _cuts(entry: FeatureSlices, column: NDArray[np.float32]) -> Iterator[tuple[str, Mask]]:
    for value in entry.values:
        yield f"{entry.feature} is {value:g}", column == np.float32(value)
    if not entry.edges:
        return
    yield f"{entry.feature} below {entry.edges[0]:g}", column < entry.edges[0]
    for low, high in zip(entry.edges, entry.edges[1:], strict=False):
        yield f"{entry.feature} from {low:g} to {high:g}", (column >= low) & (column < high)
    yield f"{entry.feature} from {entry.edges[-1]:g}", column >= entry.edges[-1]


def _slice(
    task: Task,
    name: str,
    mask: Mask,
    truth: NDArray[Any],
    candidate: NDArray[Any],
    champion: NDArray[Any] | None,
    rules: SliceRules,
) -> Slice:
    count = int(mask.sum())
    own = _score(task, truth[mask], candidate[mask]) if count else None
    rival, test = None, None
    if champion is not None and count:
        rival = _score(task, truth[mask], champion[mask])
        if count >= rules.minimum_rows:
            test = paired_test(task, truth[mask], candidate[mask], champion[mask])
    return Slice(name, count, "mae" if task == "regression" else "accuracy", own, rival, test, worse=False)


def _score(task: Task, truth: NDArray[Any], predicted: NDArray[Any]) -> float:
    if task == "regression":
        return float(np.abs(truth.astype(np.float64) - predicted.astype(np.float64)).mean())
    return float((truth == predicted).mean())


def _loss(each: Slice) -> float:
    own, rival = each.candidate or 0.0, each.champion or 0.0
    return own - rival if each.metric == "mae" else rival - own


def _allowed(each: Slice, margin: float) -> float:
    return margin * (each.champion or 0.0) if each.metric == "mae" else margin
