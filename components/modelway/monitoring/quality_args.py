"""What a version promises about its predictions: the inputs, their defaults, and what they cannot be."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

from modelway.serving.misfit import Misfit

WINDOWS = ("1h", "1d")
SEVERITIES = ("ticket", "page")
LEAST_RETENTION_HOURS = 24
"""A day's window reads samples of a day."""
TRUTH_PERCENT, LEAST_TRUTH_PERCENT, MOST_TRUTH_PERCENT = 95.0, 70.0, 99.9
"""Below, staleness without end would use up its budget less than three times too fast."""
CLASSIFICATION = ("accuracy_at_least", "macro_f1_at_least", "precision_at_least", "recall_at_least")
TRUTHS = (*CLASSIFICATION, "absolute_error_at_most", "outcomes_at_least", "truth_fresh_within_hours")
"""What is known by feedback alone."""
OBJECTIVES = ("prediction_drift_psi", "feature_drift_psi", "missing_feature_percent", *TRUTHS)


class QualityArgs(TypedDict):
    """What one version of a model promises about its predictions. Nothing is promised that is not set."""

    model: str
    """Name of the model, whose server is the runtime `modelway`."""
    version: str
    """Name of the version."""
    severity: NotRequired[str]
    """`ticket` or `page`, of the alerts on drift, missing values and quality. Defaults to `ticket`."""
    drift_window: NotRequired[str]
    """`1h` or `1d`: the rows that drift and missing values are computed of, 500 at least. Defaults to `1h`."""
    feedback_window: NotRequired[str]
    """`1h` or `1d`: the truths and outcomes that quality is computed of, 30 at least. Defaults to `1d`."""
    prediction_drift_psi: NotRequired[float]
    """Largest population stability index of the predictions against those on the held-out rows; above 0.25 is by
    custom a change to act upon."""
    feature_drift_psi: NotRequired[float]
    """Largest population stability index of any feature against the training rows."""
    missing_feature_percent: NotRequired[float]
    """By how many percentage points the rows without a value of a feature may exceed the training rows' share."""
    accuracy_at_least: NotRequired[float]
    """Least share of right predictions, above 0 and below 1."""
    macro_f1_at_least: NotRequired[float]
    """Least mean of the classes' F1 scores, above 0 and below 1."""
    precision_at_least: NotRequired[dict[str, float]]
    """Least precision by class, as answers write it."""
    recall_at_least: NotRequired[dict[str, float]]
    """Least recall by class."""
    absolute_error_at_most: NotRequired[float]
    """Largest mean absolute error of a regression, in the unit of what is predicted."""
    outcomes_at_least: NotRequired[dict[str, float]]
    """Least mean by name of the outcome."""
    truth_fresh_within_hours: NotRequired[int]
    """Within how many hours truths of predictions come; below the hours that samples are kept."""
    truth_fresh_percent: NotRequired[float]
    """Least share of the time in which they do, 70 to 99.9. Defaults to 95."""


@dataclass(frozen=True)
class Quality:
    """What one version promises; None or empty: nothing of that."""

    model: str
    version: str
    severity: str = "ticket"
    drift_window: str = "1h"
    feedback_window: str = "1d"
    prediction_drift_psi: float | None = None
    feature_drift_psi: float | None = None
    missing_feature_percent: float | None = None
    accuracy_at_least: float | None = None
    macro_f1_at_least: float | None = None
    precision_at_least: Mapping[str, float] = field(default_factory=dict)
    recall_at_least: Mapping[str, float] = field(default_factory=dict)
    absolute_error_at_most: float | None = None
    outcomes_at_least: Mapping[str, float] = field(default_factory=dict)
    truth_fresh_within_hours: int | None = None
    truth_fresh_percent: float = TRUTH_PERCENT


def quality_of(args: QualityArgs) -> Quality:
    """The promise that `quality_misfits` finds nothing wrong with."""
    given: dict[str, Any] = {name: value for name, value in args.items() if value is not None}
    if "truth_fresh_within_hours" in given:
        # From other languages every number arrives as a float.
        given["truth_fresh_within_hours"] = int(given["truth_fresh_within_hours"])
    return Quality(**given)


def quality_misfits(args: QualityArgs, retention_hours: int) -> Iterator[Misfit]:
    """What no promise can be, where samples are kept for `retention_hours`."""
    given: dict[str, Any] = {name: value for name, value in args.items() if value is not None}
    if all(given.get(name) in (None, {}) for name in OBJECTIVES):
        yield Misfit(OBJECTIVES[0], "nothing is promised", "no objective", ", ".join(OBJECTIVES), "set one of these")
    choices = {"severity": SEVERITIES, "drift_window": WINDOWS, "feedback_window": WINDOWS}
    for name, known in choices.items():
        if given.get(name, known[0]) not in known:
            yield Misfit(name, "unknown value", repr(given[name]), ", ".join(known), "correct it")
    yield from _numbers(given)
    regression, classes = "absolute_error_at_most", [name for name in CLASSIFICATION if given.get(name)]
    if given.get(regression) and classes:
        got, allowed = f"{regression} and {classes[0]}", "those of a regression or those of classes"
        yield Misfit(regression, "no model is measured by both", got, allowed, "remove one")
    yield from _retained(given, retention_hours)


def _numbers(given: Mapping[str, Any]) -> Iterator[Misfit]:
    share, positive = (0.0, 1.0, "more than 0 and less than 1"), (0.0, float("inf"), "more than 0")
    bounds = {
        "prediction_drift_psi": positive,
        "feature_drift_psi": positive,
        "missing_feature_percent": (0.0, 100.0, "more than 0 and less than 100"),
        "accuracy_at_least": share,
        "macro_f1_at_least": share,
        "absolute_error_at_most": positive,
    }
    for name, (low, high, allowed) in bounds.items():
        if name in given and not low < given[name] < high:
            yield Misfit(name, "out of range", f"{given[name]:g}", allowed, "change it")
    for name in ("precision_at_least", "recall_at_least"):
        for label, least in given.get(name, {}).items():
            if not 0 < least < 1:
                yield Misfit(name, f"out of range for {label}", f"{least:g}", share[2], "change it")
    least = given.get("truth_fresh_percent")
    if least is None:
        return
    if "truth_fresh_within_hours" not in given:
        got, allowed = "truth_fresh_percent only", "truth_fresh_percent with truth_fresh_within_hours"
        yield Misfit("truth_fresh_percent", "alone", got, allowed, "add the other or remove it")
    if not LEAST_TRUTH_PERCENT <= least <= MOST_TRUTH_PERCENT:
        allowed = f"{LEAST_TRUTH_PERCENT:g} to {MOST_TRUTH_PERCENT:g}"
        yield Misfit("truth_fresh_percent", "out of range", f"{least:g}", allowed, "change it")


def _retained(given: Mapping[str, Any], retention_hours: int) -> Iterator[Misfit]:
    if retention_hours < LEAST_RETENTION_HOURS:
        got, fix = f"retention_hours {retention_hours}", "raise retention_hours"
        yield Misfit("drift_window", "samples are not kept for a day", got, f"{LEAST_RETENTION_HOURS} or more", fix)
    hours = given.get("truth_fresh_within_hours")
    if hours is not None and not (1 <= hours < retention_hours and hours == int(hours)):
        allowed = f"whole hours from 1 on, fewer than the {retention_hours} of retention_hours"
        fix = "lower it, or raise retention_hours"
        yield Misfit("truth_fresh_within_hours", "cannot be measured", f"{hours:g}", allowed, fix)
