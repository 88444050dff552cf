"""Recording rules over the model servers' feedback and drift counters, as plain data.

Everything is summed over all pods of a version before it is divided, so replicas, restarts and pods that are gone count
by what they saw. Each rule has two windows: an hour, which shows a break soon, and a day, which evens out the daily
rhythm and gathers enough where truths or requests are rare. A day is as far back as samples are kept by default.

A day is the sum of its 24 hours, each as the rules of the hour recorded it at the full hour: it moves once per hour,
leaves out an hour at whose end Prometheus did not run, and reads one recorded sample per hour where the counters of
each pod have one every few seconds.
"""

from dataclasses import dataclass
from typing import Any

MINIMUM_ROWS = 500
"""Rows that a window needs for PSI and KS; the server's own gauges need as many. With fewer there is no value."""
MINIMUM_TRUTHS = 30
"""Truths or outcomes that a window needs for a mean; an accuracy of 30 truths still is only right within ±18 points."""
SMOOTHING_ROWS = 0.5
"""Added to each bin of both sides of PSI, as in the server."""
MAXIMUM_BINS = 21
MISSING = "missing"
"""The server's bin of rows without a value."""
OTHER = "(other)"
"""What the server writes for the other side of a wrong prediction when a model has more than 20 classes."""

ANSWERS = "model_version:modelway_answers:increase"
"""Predictions that were answered, each of one or many rows; the window follows."""

VERSION = "model, version"
Rules = dict[str, str]


@dataclass(frozen=True)
class _Window:
    name: str
    interval: str
    """How often the rules run. At most half of the 5 minutes in which Prometheus still finds a sample."""


_HOUR = _Window("1h", "1m")
WINDOWS = (_HOUR, _Window("1d", "2m"))


def quality_groups() -> list[dict[str, Any]]:
    """Rule groups of quality and of drift for each window; a rule may use the ones before it in its group."""
    groups = []
    for kind, rules in (("quality", _quality_rules), ("drift", _drift_rules)):
        for window in WINDOWS:
            records = [{"record": record, "expr": expr} for record, expr in rules(window.name).items()]
            groups.append({"name": f"modelway_{kind}_{window.name}", "interval": window.interval, "rules": records})
    return groups


def _increase(record: str, labels: str, metric: str, window: str) -> Rules:
    """The rule `record` + window: how much a counter rose in the window, over all pods."""
    if window == _HOUR.name:
        return {f"{record}{window}": f"sum by ({labels}) (increase({metric}[{window}]))"}
    # A subquery's steps are full hours: together the windows leave nothing out and count nothing twice.
    return {f"{record}{window}": f"sum_over_time({record}{_HOUR.name}[{window}:{_HOUR.name}])"}


def _quality_rules(window: str) -> Rules:
    """Accuracy; precision, recall and F1 per class and their macro F1; MAE; means of outcomes.

    Definitions are scikit-learn's. A class that was never predicted (never true) has no precision (no recall), and one
    that was neither is left out of the macro F1, as scikit-learn leaves out classes that the data do not have.
    """
    risen = "model_version_prediction_truth:modelway_feedback_truth:increase"
    pairs = f"{risen}{window}"
    hits, predicted, actual = (
        f"model_version_class:modelway_feedback_{kind}:increase{window}" for kind in ("hits", "predicted", "actual")
    )
    claimed = f'{pairs}{{prediction!="{OTHER}"}}'
    truths = f"model_version:modelway_feedback_truths:increase{window}"
    f1 = f"model_version_class:modelway_feedback_f1:ratio{window}"
    enough = f"on ({VERSION}) {truths} >= {MINIMUM_TRUTHS}"
    return {
        **_increase(risen, f"{VERSION}, prediction, truth, correct", "modelway_feedback_truth_total", window),
        truths: f"sum by ({VERSION}) ({claimed})",
        hits: _by_class(f'{pairs}{{correct="true"}}', "prediction"),
        predicted: _by_class(claimed, "prediction"),
        actual: _by_class(f'{pairs}{{truth!="{OTHER}"}}', "truth"),
        f"model_version:modelway_feedback_accuracy:ratio{window}": (
            f"sum by ({VERSION}) ({hits}) / ({truths} >= {MINIMUM_TRUTHS})"
        ),
        f"model_version_class:modelway_feedback_precision:ratio{window}": (f"{hits} / ({predicted} > 0) and {enough}"),
        f"model_version_class:modelway_feedback_recall:ratio{window}": f"{hits} / ({actual} > 0) and {enough}",
        f1: f"2 * {hits} / ({predicted} + {actual} > 0) and {enough}",
        f"model_version:modelway_feedback_macro_f1:ratio{window}": f"avg by ({VERSION}) ({f1})",
        **_mean_rules(window),
        **_increase(ANSWERS, VERSION, 'modelway_requests_total{code="200"}', window),
    }


def _by_class(pairs: str, side: str) -> str:
    return f'sum by ({VERSION}, class) (label_replace({pairs}, "class", "$1", "{side}", "(.*)"))'


def _mean_rules(window: str) -> Rules:
    error, outcome = "modelway_feedback_absolute_error", "modelway_feedback_outcome"
    errors, sums = f"model_version:{error}s:increase", f"model_version:{error}_sum:increase"
    named = f"{VERSION}, name"
    outcomes, gains, losses = (
        f"model_version_name:{outcome}{part}:increase" for part in ("s", "_sum_positive", "_sum_negative")
    )
    return {
        **_increase(errors, VERSION, f"{error}_count", window),
        **_increase(sums, VERSION, f"{error}_sum", window),
        f"model_version:{error}:mean{window}": f"{sums}{window} / ({errors}{window} >= {MINIMUM_TRUTHS})",
        **_increase(outcomes, named, f"{outcome}_count", window),
        **_increase(gains, named, f'{outcome}_sum{{sign="positive"}}', window),
        **_increase(losses, named, f'{outcome}_sum{{sign="negative"}}', window),
        f"model_version_name:{outcome}:mean{window}": (
            f"({gains}{window} - {losses}{window}) / ({outcomes}{window} >= {MINIMUM_TRUTHS})"
        ),
    }


def _drift_rules(window: str) -> Rules:
    """PSI, KS and missing values per feature, PSI of the predictions; definitions, sources and thresholds: the server's
    `drift.py`."""
    features = f"{VERSION}, feature"
    live, expected, rules = _bin_rules("feature", features, window)
    found, predicted, more = _bin_rules("prediction", VERSION, window)
    # Distance of the cumulative distributions at each edge: the bins up to it, in the order of their names.
    edges = " or ".join(
        f'label_replace(sum by ({features}) ({live}{{{upto}}} - {expected}{{{upto}}}), "edge", "{last}", "", "")'
        for last, upto in _edges()
    )
    return {
        **rules,
        f"model_version_feature:modelway_feature_drift_psi:{window}": _psi(live, expected, features),
        f"model_version_feature:modelway_feature_drift_ks:{window}": (
            f"max by ({features}) (abs({edges})) / sum by ({features}) ({expected})"
        ),
        **_missing_rules(live, features, window),
        **more,
        f"model_version:modelway_prediction_drift_psi:{window}": _psi(found, predicted, VERSION),
    }


def _missing_rules(live: str, labels: str, window: str) -> Rules:
    """Share of rows without a value, and how much it is above the training rows' share."""
    kind = "model_version_feature:modelway_feature_missing"
    without = f'sum by ({labels}) ({live}{{bin="{MISSING}"}})'
    reference = f'max by ({labels}) (modelway_feature_bin_reference{{bin="{MISSING}"}})'
    return {
        f"{kind}:ratio{window}": f"{without} / (sum by ({labels}) ({live}) >= {MINIMUM_ROWS})",
        f"{kind}_excess:ratio{window}": f"{kind}:ratio{window} - {reference}",
    }


def _edges() -> list[tuple[str, str]]:
    """Per bin its name, `00` to `20`, and the matcher of the bins up to it."""
    edges = []
    for last in range(MAXIMUM_BINS):
        tens, ones = divmod(last, 10)
        below = "".join(f"{ten}.|" for ten in range(tens))
        edges.append((f"{last:02d}", f'bin=~"{below}{tens}[0-{ones}]"'))
    return edges


def _bin_rules(kind: str, labels: str, window: str) -> tuple[str, str, Rules]:
    """Rows per bin, and as many as the reference lets expect; nothing for a window with too few rows."""
    prefix = "model_version_feature_bin" if kind == "feature" else "model_version_bin"
    risen = f"{prefix}:modelway_{kind}_bin:increase"
    live = f"{risen}{window}"
    expected = f"{prefix}:modelway_{kind}_bin:expected{window}"
    reference = f"max by ({labels}, bin) (modelway_{kind}_bin_reference)"
    rows = f"sum by ({labels}) ({live}) >= {MINIMUM_ROWS}"
    rules = {
        **_increase(risen, f"{labels}, bin", f"modelway_{kind}_bin_total", window),
        expected: f"{reference} * on ({labels}) group_left () ({rows})",
    }
    return live, expected, rules


def _psi(live: str, expected: str, labels: str) -> str:
    ratio = f"({live} + {SMOOTHING_ROWS}) / ({expected} + {SMOOTHING_ROWS})"
    return (
        f"sum by ({labels}) (({live} - {expected}) * ln({ratio})) / sum by ({labels}) ({expected} + {SMOOTHING_ROWS})"
    )
