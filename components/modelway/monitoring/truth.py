"""Freshness of ground truth as a service level: rules of its error budget and the ticket, as plain data.

Truths are stale while a version has answered predictions N hours ago and none of its truths has come since. The share
of the time in which they are is the error ratio of an objective like that of `slo.py`, with the same series, the label
`slo="truth"` and the ticket's windows; nobody is woken by it.
"""

from typing import Any

from modelway.monitoring.quality import ANSWERS
from modelway.monitoring.quality_args import Quality
from modelway.monitoring.slo import BUDGET_WINDOW, TICKET

INTERVAL = "1m"


def truth_rules(quality: Quality) -> list[dict[str, Any]]:
    """Rules of one version; none where it promises nothing of its truths."""
    if quality.truth_fresh_within_hours is None:
        return []
    labels = {"model": quality.model, "version": quality.version}
    slo = {**labels, "slo": "truth"}
    selector = ",".join(f'{name}="{value}"' for name, value in labels.items())
    stale = f"model_version:modelway_truth_stale:bool{{{selector}}}"
    budget = round((100 - quality.truth_fresh_percent) / 100, 10)
    windows = sorted({window for burn in TICKET for window in (burn.long, burn.short)})
    ratios = {f"errors:ratio{window}": f"avg_over_time({stale}[{window}])" for window in windows}
    # As often as the requests' budget: a sample per hour of what is kept.
    ratios[f"budget_left:ratio{BUDGET_WINDOW}"] = f"1 - avg_over_time({stale}[{BUDGET_WINDOW}:1h]) / {budget:g}"
    return [
        {
            "record": "model_version:modelway_truth_stale:bool",
            "expr": _stale(selector, quality.truth_fresh_within_hours),
            "labels": labels,
        },
        *(
            {"record": f"model_version_slo:modelway_slo_{what}", "expr": expression, "labels": slo}
            for what, expression in ratios.items()
        ),
        _alert(quality, slo, budget),
    ]


def _stale(selector: str, hours: int) -> str:
    answered = f"sum({ANSWERS}1h{{{selector}}} offset {hours}h) > bool 0"
    kinds = ("truths", "absolute_errors")
    # Each sample is of the hour before it: together they reach back to the first of those answers.
    found = " or ".join(
        f"max_over_time(model_version:modelway_feedback_{kind}:increase1h{{{selector}}}[{hours}h])" for kind in kinds
    )
    return f"({answered}) * (sum({found} or vector(0)) == bool 0) or vector(0)"


def _alert(quality: Quality, labels: dict[str, str], budget: float) -> dict[str, Any]:
    selector = ",".join(f'{name}="{value}"' for name, value in labels.items())

    def above(factor: float, window: str) -> str:
        return f"model_version_slo:modelway_slo_errors:ratio{window}{{{selector}}} > {round(factor * budget, 10):g}"

    parts = [f"({above(burn.factor, burn.long)} and {above(burn.factor, burn.short)})" for burn in TICKET]
    hours, percent = quality.truth_fresh_within_hours, quality.truth_fresh_percent
    return {
        "alert": "ModelTruthTicket",
        "expr": " or ".join(parts),
        "labels": {"severity": "ticket", **labels},
        "annotations": {
            "summary": f"{quality.model} {quality.version}: truths of its predictions have stopped coming",
            "description": (
                "No truth came for {{ $value | humanizePercentage }} of the long window; "
                f"within {hours} h in {percent:g} % of the time was promised."
            ),
            "runbook_url": "docs/runbooks/model-truth.md",
        },
    }
