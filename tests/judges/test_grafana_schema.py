"""The dashboards against Grafana's own schema, which knows the options of every kind of panel."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from modelway.monitoring.dashboards import NAMES, dashboards
from modelway.monitoring.grafana import IMAGE

from tests.judges.grafana_schema import SOURCES, judge

Dashboard = dict[str, Any]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("runbooks", [None, "https://docs.example/runbooks"])
def test_a_dashboard_is_one_that_grafana_describes(name: str, runbooks: str | None) -> None:
    assert judge(dashboards(runbooks)[name]) == []


def test_the_schema_is_that_of_the_grafana_that_is_deployed() -> None:
    version = json.loads((SOURCES / "package.json").read_text())["dependencies"]["@grafana/schema"]
    assert f":{version}@sha256:" in IMAGE


def plot(dashboard: Dashboard) -> Dashboard:
    return next(panel for panel in dashboard["panels"] if panel["type"] == "timeseries")


HARMS: dict[str, Callable[[Dashboard], Any]] = {
    "an unknown key": lambda dashboard: dashboard.update(panel=[]),
    "an unknown kind of panel": lambda dashboard: plot(dashboard).update(type="timeserie"),
    "an unknown option of its kind": lambda dashboard: plot(dashboard)["options"].update(legends={}),
    "an unknown value of an option": lambda dashboard: plot(dashboard)["options"]["tooltip"].update(mode="every"),
    "an unknown field option": lambda dashboard: plot(dashboard)["fieldConfig"]["defaults"]["custom"].update(width=1),
    "a threshold without a colour": lambda dashboard: plot(dashboard)["fieldConfig"]["defaults"]["thresholds"].update(
        steps=[{"value": 1}]
    ),
    "a place that is no number": lambda dashboard: plot(dashboard)["gridPos"].update(x="0"),
    "an unknown kind of variable": lambda dashboard: dashboard["templating"]["list"][0].update(type="choice"),
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
def test_what_grafana_does_not_describe_is_found(harm: Callable[[Dashboard], Any]) -> None:
    dashboard = copy.deepcopy(dashboards()["model"])
    harm(dashboard)
    assert judge(dashboard) != []
