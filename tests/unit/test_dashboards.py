"""The dashboards: as generated, over series that exist, with variables and pages that exist."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from modelway.monitoring.config import CONTAINER_METRICS, prometheus_rules
from modelway.monitoring.dashboards import NAMES, RUNBOOKS, dashboards, rendered
from modelway.monitoring.slo import Latency, Slo
from modelway_server.feedback import Feedback
from modelway_server.metrics import Metrics
from modelway_server.prediction_id import Signer
from modelway_server.replay import SeenIds
from modelway_server.signature import Signature
from prometheus_client import CollectorRegistry
from rollout_judge.telemetry import Telemetry

from tests.unit.promql import metrics
from tools import dashboards as generator
from tools.paths import PROJECT
from tools.pictures.asking import filled, panels, queries

OF_PROMETHEUS = {"up", "ALERTS"}
VALUES = {"model": "iris", "version": ".*", "window": "1h", "core_price": "0.04", "gib_price": "0.005"}
PAGES = "https://docs.example/runbooks"


def of_servers() -> set[str]:
    """Every series that a server or a judge shows, by their own registries."""
    classes = ("a", "b")
    requests, feedback = Metrics("iris", "v1", "5e", classes).registry, CollectorRegistry()
    signature = Signature.model_construct(task="classification", features=[], classes=classes)
    signer = Signer([bytes(32)], "iris", "v1", "5e" * 32, classes, 3600)
    Feedback(signer, SeenIds(3600, 10), signature, feedback, ("iris", "v1"))
    return {name for each in (requests, feedback, Telemetry().registry) for name in each._names_to_collectors}


def of_rules() -> set[str]:
    slo = Slo("iris", "v1", "m", split_position=0, latency=Latency(99, 0.1))
    groups = prometheus_rules([slo])["groups"]
    return {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}


def expressions(dashboard: dict[str, Any], **values: str) -> Iterator[str]:
    for panel in panels(dashboard):
        yield from (query.expression for query in queries(panel, {**VALUES, **values}))


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_dashboard_is_the_generated_one(name: str) -> None:
    assert rendered(name) == generator.render(name), "run `make dashboards`"


@pytest.mark.parametrize("window", ["1h", "1d"])
@pytest.mark.parametrize("name", NAMES)
def test_every_series_exists_on_every_ground(name: str, window: str) -> None:
    known = of_servers() | of_rules() | OF_PROMETHEUS | set(CONTAINER_METRICS.split("|"))
    read = {metric for expr in expressions(dashboards()[name], window=window) for metric in metrics(expr)}
    # The proxies' are judged by the real proxy, in `tests/engine/test_dashboards.py`.
    assert {metric for metric in read - known if not metric.startswith("envoy_")} == set()


def test_series_are_found_in_an_expression() -> None:
    text = (
        'sum by (model) (a:b{x="c"}) / on (model) group_left (y) (d_total > bool 0) or histogram_quantile(0.5, e[5m])'
    )
    assert metrics(text) == {"a:b", "d_total", "e"}


@pytest.mark.parametrize("name", NAMES)
def test_variables_are_declared_and_used(name: str) -> None:
    dashboard = dashboards()[name]
    declared = {variable["name"] for variable in dashboard["templating"]["list"]}
    text = rendered(name)
    unused = {variable for variable in declared if f"${variable}" not in text and f"${{{variable}}}" not in text}
    assert unused == set()
    # Raises for a variable without a value.
    for panel in panels(dashboard):
        for target in panel["targets"]:
            filled(target["expr"], dict.fromkeys(declared, "x"))


@pytest.mark.parametrize("name", NAMES)
def test_panels_have_numbers_and_places_of_their_own(name: str) -> None:
    everything = dashboards()[name]["panels"]
    numbers = [panel["id"] for panel in everything]
    cells = [
        (panel["gridPos"]["x"] + column, panel["gridPos"]["y"] + row)
        for panel in everything
        for column in range(panel["gridPos"]["w"])
        for row in range(panel["gridPos"]["h"])
    ]
    assert len(set(numbers)) == len(numbers)
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23


def links(pages: dict[str, Any]) -> set[str]:
    return {link["url"] for page in pages.values() for panel in panels(page) for link in panel.get("links", [])}


def test_every_runbook_that_is_linked_exists() -> None:
    found = {url.removeprefix(f"{PAGES}/") for url in links(dashboards(f"{PAGES}/"))}
    assert found
    assert [name for name in sorted(found) if not (PROJECT / RUNBOOKS / name).is_file()] == []


def test_without_the_runbooks_address_nothing_links_to_them() -> None:
    assert links(dashboards()) == set()


def test_the_components_do_not_import_what_generates() -> None:
    code = (
        "import sys, modelway.monitoring.stack\nfrom modelway.monitoring.dashboards import dashboards\ndashboards()\n"
        "print('grafana_foundation_sdk' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
