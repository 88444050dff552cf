"""One experiment: what the judge of a candidate sees and decides."""

from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard

from modelway.monitoring.dashboards import series
from modelway.monitoring.dashboards.panels import RATE, Looks, Q, Row, Step, chosen, lines, number, page

MODEL = 'model=~"$model"'
HALF = 12


def dashboard() -> Dashboard:
    """The dashboard."""
    return page(
        "experiment",
        "Modelway / Experiment",
        "A candidate beside the champion: weights, evidence, trials, and what was decided.",
        [chosen("model", "label_values(modelway_rollout_status, model)")],
        [Row("Verdict", _verdict()), Row("Evidence", _evidence()), Row("Versions", _versions())],
    )


def judged(name: str, labels: str) -> str:
    """A gauge of the judges, of whom only one decides; the others show nothing or what they last knew."""
    return f"max by ({labels}) (modelway_rollout_{name}{{{MODEL}}})"


def _verdict() -> list[Any]:
    decided = f"sum by (event) (modelway_rollout_decisions_total{{{MODEL}}})"
    return [
        number("Status", Q(f"{judged('status', 'status')} == 1", "{{status}}"), _small(), named=True),
        number(
            "Evidence against the candidate",
            Q(f"max({_ratio()})", "of what rolls back"),
            Looks("percentunit", 6, 4, steps=(Step(0.5, "orange"), Step(1, "red"))),
        ),
        number("Looks", Q(judged("looks", "model"), "looks"), _small()),
        number("Looks missing", Q(judged("look_missing", "model"), "missing"), _small(Step(1, "red"))),
        lines("Weight", [Q(judged("weight_percent", "version"), "{{version}}")], _half("percent", maximum=100)),
        lines("Decisions", [Q(decided, "{{event}}")], _half(description="Lines of the history, by what happened.")),
    ]


def _ratio() -> str:
    return f"{judged('evidence', 'metric')} / {judged('evidence_enough', 'metric')}"


def _small(*steps: Step) -> Looks:
    return Looks(width=6, height=4, steps=steps)


def _half(unit: str = "short", **more: Any) -> Looks:
    return Looks(unit, width=HALF, **more)


def _evidence() -> list[Any]:
    share = f"{judged('events', 'metric, arm')} / ({judged('trials', 'metric, arm')} > 0)"
    problems = (
        f"sum by (what) (rate(modelway_rollout_problems_total{{{MODEL}}}[{RATE}])) "
        f"or 0 * sum(modelway_rollout_looks{{{MODEL}}})"
    )
    full = "At 1 the candidate is rolled back."
    return [
        lines(
            "Evidence, as a share of what rolls back",
            [Q(_ratio(), "{{metric}}")],
            _half("percentunit", steps=(Step(1, "red"),), description=full),
        ),
        lines("Bad trials", [Q(share, "{{metric}} {{arm}}")], _half("percentunit")),
        lines("Trials", [Q(judged("trials", "metric, arm"), "{{metric}} {{arm}}")]),
        lines(
            "Evidence that traffic is not divided as weighted",
            [Q(judged("sample_ratio_evidence", "model"), "evidence")],
        ),
        lines("Turns that failed", [Q(problems, "{{what}}")]),
    ]


def _versions() -> list[Any]:
    return [
        lines("Requests", [Q(f"{series.REQUESTS}{{{MODEL}}}", "{{version}}")], Looks("reqps")),
        lines("Failed", [Q(series.failed_share(MODEL), "{{version}}")], Looks("percentunit")),
        lines("Latency, p99", [Q(f"{series.P99}{{{MODEL}}}", "{{version}}")], Looks("s")),
    ]
