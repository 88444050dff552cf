"""Every panel of every dashboard over live data: two versions under load with feedback and an experiment.

A model that predicts a number is there too, since only such a model has a mean absolute error.
"""

import json
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from modelway.monitoring.dashboards import NAMES, dashboards
from sklearn.datasets import load_diabetes

from tests.cluster.load import Load
from tests.cluster.stack import PORTS, PROJECT, Stack
from tools.pictures.asking import Query, panels, queries, variables
from tools.pictures.picture import picture

# The first one waits for the node and for the images of all.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

SHOWN, NUMBERS = "seen", "sugar"
RATE = 10
TRUTHS, BATCHES, BATCH_ROWS = 60, 15, 40
"""More than the 30 truths and the 500 rows that the rules of quality and of drift take."""
DATA_SECONDS = 420
"""Until all rules ran twice: those of the error budget run every four minutes."""
EXPERIMENT = {
    "candidate": "v2",
    "mode": "automatic",
    "steps": [20, 50, 100],
    "metrics": [{"kind": "errors", "margin": 0.05}, {"kind": "latency", "thresholdSeconds": 0.25, "margin": 0.1}],
    "stepSeconds": 90,
    "minimumTrials": 100,
    "maximumSeconds": 3600,
    "warmupSeconds": 0,
}


def asked(stack: Stack) -> Callable[[str, Mapping[str, str]], list[dict[str, Any]]]:
    """Asks the Prometheus of the stack through the API server's proxy."""
    service = "/api/v1/namespaces/modelway-monitoring/services/prometheus:http/proxy/api/v1/"

    def ask(path: str, parameters: Mapping[str, str]) -> list[dict[str, Any]]:
        answer = json.loads(stack.kubectl("get", "--raw", str(httpx.URL(service + path, params=dict(parameters)))))
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    return ask


def predictor_of_numbers(stack: Stack, folder: Path) -> None:
    """Train, package and push a regression, as a user does."""
    table = folder / "diabetes.csv"
    load_diabetes(as_frame=True).frame.to_csv(table, index=False)
    registry = f"127.0.0.1:{PORTS['MODELWAY_REGISTRY_PORT']}"
    trained = folder / "model"
    for arguments in (
        ("train", "--data", str(table), "--target", "target", "--task", "regression", "--out", str(trained)),
        ("package", "--model", str(trained), "--name", NUMBERS, "--version", "v1", "--registry", registry),
    ):
        command = [sys.executable, "-m", "pipeline", *arguments]
        done = subprocess.run(
            command, cwd=PROJECT, env=dict(stack.environment), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def under_load(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack with both models asked all the time, and told what was true; afterwards it is as it was."""
    folder = tmp_path_factory.mktemp("dashboards")
    predictor_of_numbers(stack, folder)
    slo = {"availabilityPercent": 99.9, "latency": {"percent": 99, "belowSeconds": 0.1}}
    shared = {"feedback": True, "slo": slo}
    versions = [
        {"name": name, "image": stack.lock()[f"breast-cancer:{name}"], "weight": weight, "replicas": 1}
        for name, weight in (("v1", 100), ("v2", 0))
    ]
    judged = {"name": SHOWN, "versions": versions, "feedbackOutcomes": ["cost"], "experiment": EXPERIMENT, **shared}
    numbers = {"name": NUMBERS, "versions": [{"name": "v1", "image": f"{NUMBERS}:v1", "replicas": 1}], **shared}
    stack.up_with(judged, folder / "project", numbers)
    rows = stack.reference("v1")["rows"]
    with ExitStack() as running:
        for path in (f"{SHOWN}/predict", f"{SHOWN}/v1/predict", f"{SHOWN}/v2/predict"):
            running.enter_context(Load(f"{stack.gateway}/{path}", rows[0], rate=RATE))
        running.enter_context(Load(f"{stack.gateway}/{NUMBERS}/predict", numbers_row(), rate=RATE))
        with httpx.Client(trust_env=False, base_url=stack.gateway, timeout=60) as client:
            for version in ("v1", "v2"):
                told(client, f"/{SHOWN}/{version}", rows, stack.reference(version)["prediction"], {"cost": 2.5})
            told(client, f"/{NUMBERS}", [numbers_row()], [150.0], None)
        yield stack
    stack.modelway("up", "node")


def numbers_row() -> dict[str, float]:
    """One row of the regression."""
    data = load_diabetes(as_frame=True).data
    return {str(name): float(value) for name, value in data.iloc[0].items()}


def told(
    client: httpx.Client, url: str, rows: list[dict[str, Any]], truths: list[Any], outcome: dict[str, float] | None
) -> None:
    """Ask for many rows, then for some one by one, and send back what was true of those."""
    for number in range(BATCHES):
        batch = [rows[(number * BATCH_ROWS + offset) % len(rows)] for offset in range(BATCH_ROWS)]
        client.post(f"{url}/predict", json={"rows": batch}).raise_for_status()
    ids = [
        client.post(f"{url}/predict", json=rows[n % len(rows)]).raise_for_status().json()["id"] for n in range(TRUTHS)
    ]
    # Every tenth is another class, or 30 beside the number.
    known = [truths[(n + (n % 10 == 0)) % len(truths)] for n in range(TRUTHS)]
    more = {"outcome": outcome} if outcome else {}
    items = [{"id": name, "truth": truth, **more} for name, truth in zip(ids, known, strict=True)]
    answer = client.post(f"{url}/feedback", json={"items": items}).raise_for_status().json()
    assert answer == {"accepted": TRUTHS, "refused": []}


def answered(ask: Callable[[str, Mapping[str, str]], list[dict[str, Any]]], query: Query) -> bool:
    """Whether a query finds a number now."""
    return any(sample["value"][1] != "NaN" for sample in ask("query", {"query": query.expression}))


def test_every_query_of_every_panel_returns_data(under_load: Stack, figure: Callable[[str], None]) -> None:
    ask = asked(under_load)
    asking: dict[tuple[str, str, int], list[Query]] = {}
    for name, dashboard in dashboards().items():
        found = variables(dashboard, ask)
        for model in (SHOWN, NUMBERS):
            for panel in panels(dashboard):
                for number, query in enumerate(queries(panel, {**found, "model": model})):
                    asking.setdefault((name, panel["title"], number), []).append(query)
    missing, began = dict(asking), time.monotonic()
    while missing and time.monotonic() - began < DATA_SECONDS:
        missing = {key: kinds for key, kinds in missing.items() if not any(answered(ask, query) for query in kinds)}
    figure(
        f"{len(asking) - len(missing)} of {len(asking)} queries of {len(NAMES)} dashboards return data, "
        f"{time.monotonic() - began:.0f} s after the first feedback"
    )
    assert {key: kinds[0].expression for key, kinds in missing.items()} == {}


def test_no_rule_failed(under_load: Stack) -> None:
    (failures,) = under_load.prometheus("sum(prometheus_rule_evaluation_failures_total)")
    assert failures["value"][1] == "0"


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_drawn_of_live_data(under_load: Stack, tmp_path: Path, name: str) -> None:
    dashboard = dashboards()[name]
    text = picture(dashboard, asked(under_load), minutes=10, values={"model": SHOWN})
    (tmp_path / f"{name}.svg").write_text(text)
    space = "{http://www.w3.org/2000/svg}"
    drawn = ET.fromstring(text)  # noqa: S314 - our own text
    plots = [panel["title"] for panel in panels(dashboard) if panel["type"] == "timeseries"]
    lines = [*drawn.iter(f"{space}polyline"), *drawn.iter(f"{space}circle")]
    # Of the dashboard of a model only the mean absolute error has no line: this one has classes.
    assert len(lines) >= len(plots) - (name == "model")
    assert len(text) < 400_000
