"""The gate between a trained model and production.

A candidate is rejected when it misses a floor, or when it is worse than the champion: the 95 % interval of
(candidate − champion) in the deciding metric, from a bootstrap that draws the same held-out rows for both models,
lies wholly below −margin. A metric where smaller is better (MAE) is negated first, and its margin is a share of the
champion's value. Accuracy has an exact test, which decides in place of the interval: the one-sided exact McNemar test
at 2.5 %, together with a loss above the margin. Two equally good models are so rejected in about 2.5 % of all cases
(3 % measured at most), less with a margin.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import metrics
from pipeline.data import Task
from pipeline.paired import paired_test
from tools.problem import Problem, ProblemError

CONFIDENCE = 0.95
MARGIN = 0.01
SEED = 0
EXACT = "accuracy"
"""The metric that a test of single rows decides exactly."""


@dataclass(frozen=True)
class Interval:
    """A score on all held-out rows with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Value and interval with four digits."""
        return f"{self.value:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True)
class HeldOut:
    """What the held-out rows are compared on."""

    task: Task
    classes: int
    """Number of classes; 0 for regression."""
    truth: NDArray[Any]
    """Per row the true class index or value."""


@dataclass(frozen=True)
class Verdict:
    """The outcome, with everything it rests on."""

    accepted: bool
    reasons: tuple[str, ...]
    """One sentence per reason, for an acceptance too."""
    metric: str
    """The deciding metric."""
    margin: float
    """How much worse a candidate may be."""
    candidate: Mapping[str, Interval]
    champion: Mapping[str, Interval] | None
    difference: Mapping[str, Interval] | None
    """Candidate minus champion per metric, in the metric's own sign."""
    worse: bool
    """Whether the candidate is worse than the champion in the deciding metric."""


def judge(
    held_out: HeldOut,
    candidate: NDArray[Any],
    champion: NDArray[Any] | None,
    *,
    margin: float = MARGIN,
    metric: str | None = None,
    floors: Mapping[str, float] | None = None,
) -> Verdict:
    """Judge predictions on the held-out rows.

    `metric` decides against the champion: `f1` for classification and `mae` for regression unless given.
    `floors` are values that the candidate must reach (for `mae`: must not exceed). Raises `ProblemError` for an
    unknown metric and for a margin below 0.
    """
    deciding = metric or metrics.DECIDING[held_out.task]
    _check_options(held_out.task, deciding, margin, floors or {})
    own = _samples(held_out, candidate)
    reasons = missed_floors(_intervals(own), floors or {})
    missed = bool(reasons)
    if champion is None:
        return Verdict(
            not reasons,
            tuple(reasons or ["every floor is reached and there is no champion"]),
            deciding,
            margin,
            _intervals(own),
            None,
            None,
            worse=False,
        )
    other = _samples(held_out, champion)
    difference = {name: own[name] - other[name] for name in own}
    intervals = _intervals(difference)
    if deciding == EXACT:
        worse, comparison = _compare_exactly(held_out, candidate, champion, intervals[deciding], margin)
    else:
        worse, comparison = _compare(deciding, intervals[deciding], float(other[deciding][0]), margin)
    reasons += [comparison] if worse or not reasons else []
    return Verdict(
        not (worse or missed), tuple(reasons), deciding, margin, _intervals(own), _intervals(other), intervals, worse
    )


def _samples(held_out: HeldOut, predicted: NDArray[Any]) -> metrics.Scores:
    """Scores on all rows first, then on each resample."""
    rows = len(held_out.truth)
    weights = np.vstack([np.ones((1, rows)), metrics.bootstrap_weights(rows, SEED)])
    return metrics.scores(held_out.task, held_out.truth, predicted, held_out.classes, weights)


def _intervals(samples: metrics.Scores) -> dict[str, Interval]:
    tail = 100 * (1 - CONFIDENCE) / 2
    return {
        name: Interval(float(values[0]), *(float(v) for v in np.percentile(values[1:], [tail, 100 - tail])))
        for name, values in samples.items()
    }


def _compare(metric: str, difference: Interval, champion: float, margin: float) -> tuple[bool, str]:
    smaller_is_better = metric in metrics.SMALLER_IS_BETTER
    allowed = margin * abs(champion) if smaller_is_better else margin
    best = -difference.low if smaller_is_better else difference.high
    worse = best < -allowed
    text = f"{metric}: candidate − champion is {difference}"
    side = f"above {allowed:.4f}" if smaller_is_better else f"below −{allowed:.4f}"
    if worse:
        return True, f"{text}, wholly {side}: the candidate is worse"
    return False, f"{text}, not wholly {side}: the candidate is not worse"


def _compare_exactly(
    held_out: HeldOut, candidate: NDArray[Any], champion: NDArray[Any], difference: Interval, margin: float
) -> tuple[bool, str]:
    test = paired_test(held_out.task, held_out.truth, candidate, champion)
    text = f"{EXACT}: candidate − champion is {difference}, margin {margin:.4f}; {test}"
    if test.p_value < (1 - CONFIDENCE) / 2 and difference.value < -margin:
        return True, f"{text}: the candidate is worse"
    return False, f"{text}: the candidate is not worse"


def missed_floors(own: Mapping[str, Interval], floors: Mapping[str, float]) -> list[str]:
    """One sentence per floor that the scores `own` miss."""
    missed = []
    for name, floor in floors.items():
        value = own[name].value
        if name in metrics.SMALLER_IS_BETTER and value > floor:
            missed.append(f"{name}: {value:.4f} exceeds the limit {floor:g}")
        elif name not in metrics.SMALLER_IS_BETTER and value < floor:
            missed.append(f"{name}: {value:.4f} misses the floor {floor:g}")
    return missed


def _check_options(task: Task, metric: str, margin: float, floors: Mapping[str, float]) -> None:
    names = metrics.NAMES[task]
    allowed = f"{', '.join(names)} for a {task}"
    problems = [
        Problem("--floor", "names an unknown metric", repr(name), allowed, "correct the option")
        for name in floors
        if name not in names
    ]
    if metric not in names:
        problems.append(Problem("--metric", "is unknown", repr(metric), allowed, "correct the option"))
    if not 0 <= margin < float("inf"):
        problems.append(Problem("--margin", "is no margin", str(margin), "0 or more", "correct the option"))
    if problems:
        raise ProblemError(problems)
