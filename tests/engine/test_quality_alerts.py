"""Alerts of what is promised about predictions, judged by promtool: when they fire, when not, and when they end.

Of each alert one version breaks the promise for a while, and another comes near to it all the time.
"""

from pathlib import Path
from typing import Any

from modelway.monitoring.config import prometheus_rules
from modelway.monitoring.quality_alerts import quality_alert_groups
from modelway.monitoring.quality_args import Quality

from tests.engine.alert_judging import Proven, judge, values

HOUR = 60
"""Steps of a minute."""
PROMISES: dict[str, Any] = {
    "feedback_window": "1h",
    "prediction_drift_psi": 0.25,
    "feature_drift_psi": 0.25,
    "missing_feature_percent": 5,
    "accuracy_at_least": 0.8,
    "macro_f1_at_least": 0.8,
    "precision_at_least": {"yes": 0.8},
    "recall_at_least": {"yes": 0.8},
    "outcomes_at_least": {"revenue": 3},
}
NUMBER: dict[str, Any] = {"feedback_window": "1h", "absolute_error_at_most": 2}
QUALITIES = [
    *(Quality("m", version, **PROMISES) for version in ("breaks", "keeps")),
    *(Quality("m", version, **NUMBER) for version in ("breaks-number", "keeps-number")),
    Quality("m", "loses", prediction_drift_psi=0.25),
    Quality("m", "unknown", recall_at_least={"maybe": 0.5, 'qu"ot$1e\\': 0.5}),
]
BROKEN = {
    "ModelPredictionDrift": "breaks",
    "ModelFeatureDrift": "breaks",
    "ModelFeatureMissing": "breaks",
    "ModelAccuracyLow": "breaks",
    "ModelMacroF1Low": "breaks",
    "ModelPrecisionLow": "breaks",
    "ModelRecallLow": "breaks",
    "ModelOutcomeLow": "breaks",
    "ModelErrorHigh": "breaks-number",
    "ModelQualityUnmeasured": "loses",
    "ModelTruthTicket": "stops",
}
PROVEN = Proven(*(frozenset(BROKEN) for _ in range(3)))


def metric(name: str, version: str, steps: str, /, **labels: str) -> dict[str, str]:
    written = ",".join(f'{key}="{value}"' for key, value in {"model": "m", "version": version, **labels}.items())
    return {"series": f"{name}{{{written}}}", "values": steps}


def rows(version: str, *phases: tuple[int, dict[str, float]]) -> list[dict[str, str]]:
    """What the server exports, by what comes in each step: rows per bin, truths per pair, revenue."""

    def counter(name: str, key: str, /, **labels: str) -> dict[str, str]:
        return metric(name, version, values(*((steps, what[key]) for steps, what in phases)), **labels)

    def reference(name: str, share: float, /, **labels: str) -> dict[str, str]:
        return metric(
            f"modelway_{name}_bin_reference", version, f"{share}x{sum(steps for steps, _ in phases)}", **labels
        )

    found = [
        *(counter("modelway_prediction_bin_total", f"said {name}", bin=name) for name in ("yes", "no")),
        *(reference("prediction", share, bin=name) for name, share in (("yes", 0.6), ("no", 0.4))),
    ]
    for name, share in (("00", 0.45), ("01", 0.45), ("missing", 0.1)):
        for feature in ("x", "y"):
            found.append(reference("feature", share, feature=feature, bin=name))
            found.append(counter("modelway_feature_bin_total", f"{feature} {name}", feature=feature, bin=name))
    for prediction in ("yes", "no"):
        for truth in ("yes", "no"):
            right = prediction == truth
            labels = {"prediction": prediction, "truth": truth, "correct": str(right).lower()}
            found.append(counter("modelway_feedback_truth_total", "right" if right else "wrong", **labels))
    for sign in ("positive", "negative"):
        named = {"name": "revenue", "sign": sign}
        found.append(counter("modelway_feedback_outcome_count", f"{sign} count", **named))
        found.append(counter("modelway_feedback_outcome_sum", f"{sign} sum", **named))
    return found


def step(said: int, x: int, missing: int, right: int, revenue: float) -> dict[str, float]:
    """Of a hundred rows: how many were predicted `yes`, had a low x, had no y; and of a hundred truths twice how many
    were right of each class."""
    return {
        "said yes": said, "said no": 100 - said,
        "x 00": x, "x 01": 90 - x, "x missing": 10,
        "y 00": (100 - missing) / 2, "y 01": (100 - missing) / 2, "y missing": missing,
        "right": right, "wrong": 50 - right,
        "positive count": 10, "positive sum": 10 * revenue, "negative count": 0, "negative sum": 0,
    }  # fmt: skip


def test_an_alert_fires_while_a_promise_is_broken_and_only_then(tmp_path: Path) -> None:
    usual, bad = step(60, 45, 10, 45, 5), step(95, 85, 40, 30, 1)
    near = step(80, 65, 14, 41, 3.2)
    error, pair = "modelway_feedback_absolute_error", ("count", "sum")
    series = [
        *rows("breaks", (HOUR, usual), (HOUR, bad), (2 * HOUR, usual)),
        *rows("keeps", (4 * HOUR, near)),
        *(metric(f"{error}_{part}", "keeps-number", values((4 * HOUR, 19 if part == "sum" else 10))) for part in pair),
        *(
            metric(
                f"{error}_{part}",
                "breaks-number",
                values((HOUR, 10), (HOUR, 30 if part == "sum" else 10), (2 * HOUR, 10)),
            )
            for part in pair
        ),
        *(metric("up", each.version, f"1x{4 * HOUR}", job="model-servers") for each in QUALITIES),
        metric("modelway_prediction_bin_reference", "loses", f"0.6x{HOUR} _x{HOUR} 0.6x{2 * HOUR}", bin="yes"),
    ]
    firing = 'count by (alertname, version) (ALERTS{alertstate="firing",version!="unknown"})'
    broken = [
        {"labels": f'{{alertname="{name}",version="{version}"}}', "value": 1 if name != "ModelFeatureDrift" else 2}
        for name, version in BROKEN.items()
        if version != "stops"
    ]
    unknown = 'ALERTS{alertstate="firing",version="unknown"}'
    found = [
        f'{{__name__="ALERTS",alertname="ModelQualityUnmeasured",alertstate="firing",model="m",version="unknown",'
        f'objective="recall",severity="ticket",class="{name}"}}'
        for name in ("maybe", 'qu\\"ot$1e\\\\')
    ]
    expected = {0.9: [], 1.95: broken, 3.9: []}
    tests: list[dict[str, Any]] = [
        {"expr": firing, "eval_time": f"{int(hours * HOUR)}m", "exp_samples": samples}
        for hours, samples in expected.items()
    ]
    tests.append({"expr": unknown, "eval_time": "30m", "exp_samples": [{"labels": one, "value": 1} for one in found]})
    judge(tmp_path, prometheus_rules((), QUALITIES)["groups"], series, "1m", tests, "5m")


def test_what_is_never_measured_is_an_alert_after_a_day_and_truths_that_stop_are_one(tmp_path: Path) -> None:
    """Steps of half an hour, five days. Truths stop after 78 hours: they are stale six and a half hours later, and use
    up 15 % of a day, and 5 % of three, in 3.6 more."""
    day, end = 48, 240
    qualities = [
        *(Quality("m", version, prediction_drift_psi=0.25) for version in ("rare", "often")),
        *(Quality("m", version, truth_fresh_within_hours=6) for version in ("stops", "pauses", "number")),
    ]
    answers = {"code": "200"}

    def truths(version: str, *phases: tuple[int, float]) -> dict[str, str]:
        labels = {"prediction": "yes", "truth": "yes", "correct": "true"}
        return metric("modelway_feedback_truth_total", version, values(*phases), **labels)

    series = [
        *(metric("up", each.version, f"1x{end}", job="model-servers") for each in qualities),
        *(metric("modelway_requests_total", each.version, values((end, 10)), **answers) for each in qualities),
        *(metric("modelway_prediction_bin_reference", name, f"1x{end}", bin="yes") for name in ("rare", "often")),
        metric("modelway_prediction_bin_total", "rare", values((2 * day, 10), (3 * day, 600)), bin="yes"),
        metric("modelway_prediction_bin_total", "often", values((end, 300)), bin="yes"),
        truths("stops", (156, 5), (36, 0), (48, 5)),
        truths("pauses", (156, 5), (18, 0), (66, 5)),
        metric("modelway_feedback_absolute_error_count", "number", values((end, 5))),
    ]
    rare, stops = ("ModelQualityUnmeasured", "rare"), ("ModelTruthTicket", "stops")
    moments = {24: [], 40: [rare], 60: [], 87: [], 90: [stops], 95: [stops], 104: []}
    tests = [
        {
            "expr": 'count by (alertname, version) (ALERTS{alertstate="firing"})',
            "eval_time": f"{hours}h",
            "exp_samples": [{"labels": f'{{alertname="{name}",version="{one}"}}', "value": 1} for name, one in firing],
        }
        for hours, firing in moments.items()
    ]
    tests.append(
        {
            "expr": 'model_version_slo:modelway_slo_budget_left:ratio30d{slo="truth",version="number"}',
            "eval_time": "110h",
            "exp_samples": [
                {
                    "labels": '{__name__="model_version_slo:modelway_slo_budget_left:ratio30d",model="m",slo="truth",'
                    'version="number"}',
                    "value": 1,
                }
            ],
        }
    )
    judge(tmp_path, prometheus_rules((), qualities)["groups"], series, "30m", tests)


def test_a_version_that_promises_nothing_has_no_alert() -> None:
    assert quality_alert_groups([]) == []
    (group,) = quality_alert_groups([Quality("m", "v1", accuracy_at_least=0.9)])
    assert [rule["alert"] for rule in group["rules"]] == ["ModelAccuracyLow", "ModelQualityUnmeasured"]
