"""All models at once: what fails, and which one."""

from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard

from modelway.monitoring.dashboards import series
from modelway.monitoring.dashboards.panels import FULL_WIDTH, Looks, Q, Row, Step, lines, number, page, rows

ANY = (Step(1, "red"),)
"""From one on it is too many."""
VERSION = "{{model}} {{version}}"
SERVERS = 'up{job="model-servers"}'


def dashboard() -> Dashboard:
    """The dashboard."""
    return page(
        "fleet",
        "Modelway / Fleet",
        "Every model and version: alerts, traffic, failures, latency and error budgets.",
        [],
        [Row("Now", _now()), Row("Traffic", _traffic()), Row("Objectives", _objectives()), Row("Use", _use())],
    )


def _now() -> list[Any]:
    failed = f"sum({series.ERRORS}) / (sum({series.REQUESTS}) > 0) or vector(0)"
    return [
        number("Pages firing", _firing("page"), _counted("model-availability", "model-latency")),
        number("Tickets firing", _firing("ticket"), _counted("model-availability", "model-latency")),
        number(
            "Versions without a pod",
            Q("count(model_version:modelway_absent:bool == 1) or vector(0)", "versions"),
            _counted("model-availability"),
        ),
        number("Models", Q(f"count(count by (model) ({SERVERS}))", "models")),
        number("Requests", Q(f"sum({series.REQUESTS})", "requests"), Looks("reqps", 4, 4)),
        number("Failed", Q(failed, "failed"), Looks("percentunit", 4, 4, decimals=2)),
        _table(),
    ]


def _table() -> Any:
    by_version = "by (model, version)"
    columns = {
        "Pods": (Q(f"sum {by_version} ({SERVERS})"), "short"),
        "Requests": (Q(f"sum {by_version} ({series.REQUESTS})"), "reqps"),
        "Failed": (Q(f"max {by_version} ({series.failed_share()})"), "percentunit"),
        "p99": (Q(f"max {by_version} ({series.P99})"), "s"),
        "Budget left": (Q(f"min {by_version} ({series.budget_left()})"), "percentunit"),
        "Drift (PSI, 1 h)": (Q(f"max {by_version} ({series.DRIFT}:1h)"), "short"),
    }
    described = "Budget left is that of the objective with the least left."
    return rows("Versions", columns, Looks(width=FULL_WIDTH, height=7, description=described))


def _firing(severity: str) -> Q:
    return Q(f'count(ALERTS{{alertstate="firing",severity="{severity}"}}) or vector(0)', severity)


def _counted(*runbooks: str) -> Looks:
    return Looks(width=4, height=4, steps=ANY, runbooks=runbooks)


def _traffic() -> list[Any]:
    return [
        lines("Requests", [Q(f"sum by (model) ({series.REQUESTS})", "{{model}}")], Looks("reqps", stacked=True)),
        lines("Failed", [Q(series.failed_share(), VERSION)], Looks("percentunit")),
        lines("Latency, p99", [Q(series.P99, VERSION)], Looks("s")),
    ]


def _objectives() -> list[Any]:
    slo = f"{VERSION} {{{{slo}}}}"
    burns = "1: the budget of 30 days lasts 30 days. Orange makes a ticket, red pages, once it lasts."
    pages = ("model-availability", "model-latency")
    return [
        lines(
            "Burn rate, 1 h",
            [Q(series.burn("1h"), slo)],
            Looks(width=12, description=burns, steps=series.BURN_STEPS, runbooks=pages),
        ),
        lines("Error budget left", [Q(series.budget_left(), slo)], Looks("percentunit", width=12, runbooks=pages)),
    ]


def _use() -> list[Any]:
    return [
        lines("CPU", [Q(f"sum by (model) ({series.CORES})", "{{model}}")], Looks("none", 12, stacked=True)),
        lines("Memory", [Q(f"sum by (model) ({series.MEMORY})", "{{model}}")], Looks("bytes", 12, stacked=True)),
    ]
