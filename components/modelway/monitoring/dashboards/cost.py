"""What models cost: CPU and memory in use, at prices that the reader types."""

from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard

from modelway.monitoring.dashboards import series
from modelway.monitoring.dashboards.panels import RATE, Looks, Q, Row, lines, number, page, typed

GIB = 2**30
USED = (
    "By what is in use, in the currency of the prices. What is reserved and stands idle is in no metric that every "
    "ground has, and is not counted."
)
HALF = 12


def dashboard() -> Dashboard:
    """The dashboard."""
    return page(
        "cost",
        "Modelway / Cluster cost",
        f"CPU and memory of models and gateway. {USED}",
        [
            typed("core_price", "Price of a core for an hour", "0.04"),
            typed("gib_price", "Price of a GiB for an hour", "0.005"),
        ],
        [Row("Cost", _cost()), Row("Use", _use())],
    )


def per_hour(cores: str, memory: str) -> str:
    """Cost of an hour of such use; both have the same labels."""
    return f"{cores} * $core_price + {memory} / {GIB} * $gib_price"


def _by(labels: str) -> str:
    return per_hour(f"sum by ({labels}) ({series.CORES})", f"sum by ({labels}) ({series.MEMORY})")


def _everything(labels: str = "") -> str:
    return per_hour(
        f"sum by ({labels}) (rate(container_cpu_usage_seconds_total[{RATE}]))",
        f"sum by ({labels}) (container_memory_working_set_bytes)",
    )


def _cost() -> list[Any]:
    per_million = f"({_by('model')}) / (sum by (model) ({series.REQUESTS}) > 0) / 3600 * 1e6"
    return [
        number("An hour", Q(_everything(), "an hour"), Looks("none", 8, 4, USED, decimals=4)),
        number("30 days as now", Q(f"({_everything()}) * 720", "30 days"), Looks("none", 8, 4, USED, decimals=2)),
        number("Of it models", Q(_by(""), "models"), Looks("none", 8, 4, USED, decimals=4)),
        lines(
            "Cost of an hour, by model", [Q(_by("model"), "{{model}}")], Looks("none", HALF, stacked=True, decimals=4)
        ),
        lines(
            "Cost of a million requests, by model",
            [Q(per_million, "{{model}}")],
            Looks(
                "none", HALF, description="At the rate of requests as it is; much, where little is asked.", decimals=2
            ),
        ),
        lines("Cost of an hour, by version", [Q(_by("model, version"), "{{model}} {{version}}")], _half(decimals=4)),
        lines("Cost of an hour, by namespace", [Q(_everything("namespace"), "{{namespace}}")], _half(decimals=4)),
    ]


def _half(unit: str = "none", **more: Any) -> Looks:
    return Looks(unit, width=HALF, stacked=True, **more)


def _use() -> list[Any]:
    cores = f"sum by (namespace, container) (rate(container_cpu_usage_seconds_total[{RATE}]))"
    memory = "sum by (namespace, container) (container_memory_working_set_bytes)"
    return [
        lines("Cores by container", [Q(cores, "{{namespace}} {{container}}")], _half(decimals=2)),
        lines("Memory by container", [Q(memory, "{{namespace}} {{container}}")], _half("bytes")),
    ]
