"""Alerts of what versions promise about their predictions, over the series that `quality.py` records, as plain data.

What features and classes a model has is not known before it runs, and a promise about one that it lacks would be kept
for ever by silence. So each promise has a second alert, `ModelQualityUnmeasured`: the server runs and does not export
what is needed, or a day of answers has brought no value.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from modelway.monitoring.quality import ANSWERS, MINIMUM_ROWS, MINIMUM_TRUTHS
from modelway.monitoring.quality_args import Quality
from modelway.monitoring.truth import INTERVAL, truth_rules

LASTS = "5m"
"""How long a value is beyond what is promised before it is an alert: five evaluations in a row."""
STARTS = "15m"
"""How long a server may run without its series."""
RUNBOOKS = {
    "prediction-drift": "drift",
    "feature-drift": "drift",
    "missing-features": "missing-features",
    **dict.fromkeys(("accuracy", "macro-f1", "precision", "recall"), "accuracy"),
    "absolute-error": "error",
    "outcome": "outcome",
}
"""Page of `docs/runbooks/model-….md` by objective."""


@dataclass(frozen=True)
class _Promise:
    """One value with its bound."""

    alert: str
    objective: str
    """Label of both alerts."""
    bounds: tuple[tuple[str, str, float], ...]
    """Of each part: its label (`class="yes"` or none), the operator that breaks the promise, and the limit."""
    series: str
    exported: str
    """Metric that the server has where it can be measured."""
    window: str
    said: str
    """Of the broken promise."""
    needs: str
    exported_label: str = ""
    """What the label of a part is called there."""


def quality_alert_groups(qualities: Sequence[Quality]) -> list[dict[str, Any]]:
    """Rule groups of all promises; each rule has the labels `model` and `version`."""
    alerts = [rule for quality in qualities for promise in _promises(quality) for rule in _alerts(quality, promise)]
    truth = [rule for quality in qualities for rule in truth_rules(quality)]
    groups = {"modelway_quality_alerts": alerts, "modelway_truth": truth}
    return [{"name": name, "interval": INTERVAL, "rules": rules} for name, rules in groups.items() if rules]


def _promises(quality: Quality) -> Iterator[_Promise]:
    yield from _drift(quality)
    yield from _feedback(quality)


def _drift(quality: Quality) -> Iterator[_Promise]:
    window = quality.drift_window
    needs = f"a reference in the artifact and {MINIMUM_ROWS} rows in {window}"
    feature = "modelway_feature_bin_reference"
    if (limit := quality.prediction_drift_psi) is not None:
        series, metric = "model_version:modelway_prediction_drift_psi:", "modelway_prediction_bin_reference"
        said = "predictions have drifted from those on the held-out rows"
        yield _Promise(
            "ModelPredictionDrift", "prediction-drift", (("", ">", limit),), series, metric, window, said, needs
        )
    if (limit := quality.feature_drift_psi) is not None:
        series = "model_version_feature:modelway_feature_drift_psi:"
        said = "{{ $labels.feature }} has drifted from the training rows"
        yield _Promise("ModelFeatureDrift", "feature-drift", (("", ">", limit),), series, feature, window, said, needs)
    if (limit := quality.missing_feature_percent) is not None:
        series, share = "model_version_feature:modelway_feature_missing_excess:ratio", round(limit / 100, 10)
        said = "{{ $labels.feature }} is missing more often than in the training rows"
        yield _Promise(
            "ModelFeatureMissing", "missing-features", (("", ">", share),), series, feature, window, said, needs
        )


def _feedback(quality: Quality) -> Iterator[_Promise]:
    window = quality.feedback_window
    truths, outcomes = f"{MINIMUM_TRUTHS} truths in {window}", f"{MINIMUM_TRUTHS} of each outcome in {window}"
    pairs = "modelway_feedback_truth_total"
    if (limit := quality.accuracy_at_least) is not None:
        series = "model_version:modelway_feedback_accuracy:ratio"
        yield _Promise(
            "ModelAccuracyLow", "accuracy", (("", "<", limit),), series, pairs, window, "accuracy is low", truths
        )
    if (limit := quality.macro_f1_at_least) is not None:
        series, said = "model_version:modelway_feedback_macro_f1:ratio", "macro F1 is low"
        yield _Promise("ModelMacroF1Low", "macro-f1", (("", "<", limit),), series, pairs, window, said, truths)
    for name, side, least in (
        ("precision", "prediction", quality.precision_at_least),
        ("recall", "truth", quality.recall_at_least),
    ):
        if least:
            alert, series = f"Model{name.capitalize()}Low", f"model_version_class:modelway_feedback_{name}:ratio"
            bounds = tuple((f'class="{quoted(label)}"', "<", limit) for label, limit in least.items())
            said = f"{name} of {{{{ $labels.class }}}} is low"
            yield _Promise(alert, name, bounds, series, pairs, window, said, f"a class of that name, {truths}", side)
    if (limit := quality.absolute_error_at_most) is not None:
        series, metric = "model_version:modelway_feedback_absolute_error:mean", "modelway_feedback_absolute_error_count"
        said = "mean absolute error is high"
        yield _Promise("ModelErrorHigh", "absolute-error", (("", ">", limit),), series, metric, window, said, truths)
    if quality.outcomes_at_least:
        series, metric = "model_version_name:modelway_feedback_outcome:mean", "modelway_feedback_outcome_count"
        bounds = tuple((f'name="{quoted(name)}"', "<", limit) for name, limit in quality.outcomes_at_least.items())
        said = "mean of {{ $labels.name }} is low"
        yield _Promise("ModelOutcomeLow", "outcome", bounds, series, metric, window, said, outcomes, "name")


def quoted(text: str) -> str:
    """`text` between the quotes of PromQL."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _alerts(quality: Quality, promise: _Promise) -> Iterator[dict[str, Any]]:
    own = f'model="{quality.model}",version="{quality.version}"'
    series = f"{promise.series}{promise.window}"
    broken = " or ".join(
        f"{series}{{{own}{',' if part else ''}{part}}} {operator} {limit:g}" for part, operator, limit in promise.bounds
    )
    labels = {"model": quality.model, "version": quality.version, "objective": promise.objective}
    which = f"{quality.model} {quality.version}"
    yield {
        "alert": promise.alert,
        "expr": broken,
        "for": LASTS,
        "labels": {"severity": quality.severity, **labels},
        "annotations": {
            "summary": f"{which}: {promise.said}",
            "description": f'{{{{ $value | printf "%.3g" }}}} over {promise.window}; {_promised(promise)}.',
            "runbook_url": f"docs/runbooks/model-{RUNBOOKS[promise.objective]}.md",
        },
    }
    yield {
        "alert": "ModelQualityUnmeasured",
        "expr": " or ".join(_unmeasured(own, promise, series, part) for part, _, _ in promise.bounds),
        "for": STARTS,
        "labels": {"severity": "ticket", **labels},
        "annotations": {
            "summary": f"{which}: nothing measures what it promises about {promise.objective.replace('-', ' ')}",
            "description": f"It takes {promise.needs}.",
            "runbook_url": "docs/runbooks/model-quality-unmeasured.md",
        },
    }


def _promised(promise: _Promise) -> str:
    if any(part for part, _, _ in promise.bounds):
        return "more is promised"
    ((_, operator, limit),) = promise.bounds
    return f"{limit:g} at {'most' if operator == '>' else 'least'} is promised"


def _unmeasured(own: str, promise: _Promise, series: str, part: str) -> str:
    """Its server runs and does not export it, or it has answered since a day and there was no value."""
    name, _, value = part.partition("=")
    exported = f"{own},{promise.exported_label}={value}" if part else own
    recorded = f"{own},{part}" if part else own
    # A day ago as well: a version that is new has no value yet.
    answers = f"{ANSWERS}1d{{{own}}} > 0 and {ANSWERS}1d{{{own}}} offset 1d > 0"
    on = "on (model, version)"
    expression = (
        f'max by (model, version) (up{{job="model-servers",{own}}} == 1) unless {on} {promise.exported}{{{exported}}} '
        f"or ({answers}) unless {on} last_over_time({series}{{{recorded}}}[1d])"
    )
    if not part:
        return expression
    # `$` begins the number of a group there.
    return f'label_replace({expression}, "{name}", {value.replace("$", "$$")}, "", "")'
