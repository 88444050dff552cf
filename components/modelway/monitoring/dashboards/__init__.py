"""Dashboards of Grafana over the metrics that every ground has: servers, gateway, judges and containers.

What is deployed is the JSON in `json/`, which `python -m tools.dashboards` writes. Only that needs
`grafana-foundation-sdk`: the modules beside this one import it, and nothing else in the library imports them.
"""

import json
from functools import cache
from importlib import resources
from typing import Any

NAMES = ("fleet", "model", "experiment", "gateway", "cost")
"""Dashboards by the name of their file; `modelway-NAME` is the uid."""


@cache
def rendered(name: str) -> str:
    """One dashboard as the JSON text that Grafana reads."""
    return (resources.files("modelway.monitoring.dashboards") / "json" / f"{name}.json").read_text(encoding="utf-8")


def dashboards(runbooks_url: str | None = None) -> dict[str, Any]:
    """All dashboards by name. Links to runbooks begin with `runbooks_url`; without one they are left out."""
    return {name: _linked(json.loads(rendered(name)), runbooks_url) for name in NAMES}


def _linked(value: Any, base: str | None) -> Any:
    if isinstance(value, list):
        return [_linked(each, base) for each in value if base or not _is_runbook(each)]
    if isinstance(value, dict):
        return {key: _linked(inner, base) for key, inner in value.items()}
    if base and isinstance(value, str) and value.startswith(RUNBOOKS):
        return base.rstrip("/") + value.removeprefix(RUNBOOKS)
    return value


def _is_runbook(value: Any) -> bool:
    return isinstance(value, dict) and str(value.get("url", "")).startswith(RUNBOOKS)


RUNBOOKS = "docs/runbooks"
"""How links to runbooks begin before it is known where the pages are shown."""
