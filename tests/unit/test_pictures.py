"""Pictures of dashboards: what is asked, and that what is answered is what is drawn."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

import pytest
from modelway.monitoring.dashboards import NAMES, dashboards

from tools.pictures.asking import filled, name_of, variables
from tools.pictures.drawing import figure
from tools.pictures.picture import picture

SPACE = "{http://www.w3.org/2000/svg}"
HOSTILE = '<script>alert("x")</script>'


def ask(path: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
    """One series for everything: one value now, 1 to 3 over time."""
    metric = {"model": "iris", "version": HOSTILE}
    if path == "query":
        return [{"metric": metric, "value": [1000.0, "2"]}]
    assert float(parameters["end"]) - float(parameters["start"]) == pytest.approx(600)
    return [{"metric": metric, "values": [[1000.0, "1"], [1300.0, "NaN"], [1600.0, "3"]]}]


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_is_drawn_and_no_text_becomes_an_element(name: str) -> None:
    dashboard = dashboards()[name]
    drawn = ET.fromstring(picture(dashboard, ask, 10))  # noqa: S314 - our own text
    assert {element.tag.removeprefix(SPACE) for element in drawn.iter()} <= {
        *("svg", "title", "style", "rect", "text", "g", "line", "polyline", "circle"),
    }
    texts = {element.text for element in drawn.iter(f"{SPACE}text")}
    assert {panel["title"] for panel in dashboard["panels"]} <= texts
    plotted = sum(len(panel["targets"]) for panel in dashboard["panels"] if panel["type"] == "timeseries")
    lines = [element.get("points", "").split(" ") for element in drawn.iter(f"{SPACE}polyline")]
    # A value that is none leaves no point.
    assert [len(points) for points in lines] == [2] * plotted


def test_variables_are_filled_in_as_at_first() -> None:
    assert variables(dashboards()["model"], ask) == {"model": "iris", "version": ".*", "window": "1h"}
    assert variables(dashboards()["cost"], ask) == {"core_price": "0.04", "gib_price": "0.005"}


def test_what_is_no_variable_stays() -> None:
    text = 'label_replace(a{m=~"$m"}, "r", "$1", "c", "x")[$__rate_interval] ${m}'
    assert filled(text, {"m": "iris"}) == 'label_replace(a{m=~"iris"}, "r", "$1", "c", "x")[1m] iris'
    with pytest.raises(KeyError):
        filled("$unknown", {})


@pytest.mark.parametrize(
    ("legend", "name"), [("{{version}} p99", "v1 p99"), ("__auto", "iris v1"), ("all", "all"), ("{{none}}", "{{none}}")]
)
def test_a_line_is_called_as_its_legend_says(legend: str, name: str) -> None:
    assert name_of({"__name__": "x", "model": "iris", "version": "v1"}, legend) == name


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "percentunit", "1.23 %"),
        (50, "percent", "50 %"),
        (0.0042, "s", "4.2 ms"),
        (1500, "ms", "1.5 s"),
        (3 * 2**20, "bytes", "3 MiB"),
        (2048, "Bps", "2 KiB/s"),
        (1234, "reqps", "1.23 k/s"),
        (0, "short", "0"),
        (float("nan"), "s", "-"),
    ],
)
def test_a_value_is_written_as_people_read_it(value: float, unit: str, text: str) -> None:
    assert figure(value, unit) == text
