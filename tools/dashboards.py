"""Writes the dashboards into the components as package data: `python -m tools.dashboards`."""

import json
import warnings
from importlib import import_module
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from modelway.monitoring.dashboards import NAMES

from tools.paths import PROJECT

FOLDER = PROJECT / "components/modelway/monitoring/dashboards/json"


def render(name: str) -> str:
    """One dashboard as the file that is committed."""
    with warnings.catch_warnings():
        # The library advises Grafana's newer model, which charts and older versions of Grafana do not provision.
        warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
        module: Any = import_module(f"modelway.monitoring.dashboards.{name}")
    return json.dumps(module.dashboard().build(), cls=JSONEncoder, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for each in NAMES:
        (FOLDER / f"{each}.json").write_text(render(each), encoding="utf-8")
