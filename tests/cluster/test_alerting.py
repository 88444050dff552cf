"""A total outage of a version reaches whoever is on call, through the Prometheus and the Alertmanager of the stack."""

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.stack import Stack
from tools.node.layout import NODE_ADDRESS, Layout
from tools.node.lifecycle import enter

pytestmark = pytest.mark.cluster

PAGED_WITHIN_SECONDS = 90
MODEL = "on-call"
BASE = "https://runbooks.example"
HISTORY_REQUESTS = 500
"""Before the outage: a minute of them, less than any window of the alerts."""


@dataclass
class Hook:
    """A receiver on the node's own address, and what it got, with the time."""

    url: str
    got: "queue.Queue[tuple[float, dict[str, Any]]]" = field(default_factory=queue.Queue)

    def read(self, lines: Iterable[str]) -> None:
        """Take what the receiver prints, until it ends."""
        for line in lines:
            at, _, body = line.partition(" ")
            self.got.put((float(at), json.loads(body)))

    def first(self, version: str, seconds: float) -> tuple[float, dict[str, Any]]:
        """The first page about this version."""
        deadline = time.monotonic() + seconds
        while True:
            at, body = self.got.get(timeout=max(0.0, deadline - time.monotonic()))
            for alert in body["alerts"]:
                labels = alert["labels"]
                if (labels["model"], labels["version"], labels["severity"]) == (MODEL, version, "page"):
                    return at, alert


@pytest.fixture(scope="module")
def hook(stack: Stack) -> Iterator[Hook]:
    """A receiver beside the node, which pods reach."""
    node = enter(Layout(stack.state / "node"), [])[2]
    script = Path(__file__).with_name("hook.py")
    command = ["nsenter", f"--target={node}", "--net", "--", sys.executable, str(script), NODE_ADDRESS]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        found = Hook(process.stdout.readline().strip())
        thread = threading.Thread(target=found.read, args=(process.stdout,))
        thread.start()
        yield found
        process.stdin.close()
        thread.join()


@pytest.fixture(scope="module")
def url(stack: Stack, hook: Hook, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a model with two versions, whose pages the hook gets; afterwards the stack is as it was."""
    image = stack.lock()["breast-cancer:v1"]
    versions = [
        {"name": "v1", "image": image, "replicas": 1, "weight": 100},
        {"name": "v2", "image": image, "replicas": 1, "weight": 0},
    ]
    monitoring = {"receivers": [{"name": "hook", "webhook": {"url": hook.url}}], "runbookBaseUrl": BASE}
    model = {"name": MODEL, "versions": versions, "slo": {"availabilityPercent": 99.9}}
    split, *_ = stack.up_with(model, tmp_path_factory.mktemp("alerting") / "project", monitoring=monitoring)
    yield split.removesuffix("/predict")
    stack.modelway("up", "node")


class Requests:
    """Some requests each second in the background, whatever comes of them."""

    def __init__(self, url: str, row: dict[str, Any]) -> None:
        """`url` is asked with `row` until the end of the block."""
        self._url, self._row, self._done = url, row, threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        with httpx.Client(trust_env=False) as client:
            while not self._done.wait(0.05):
                client.post(self._url, json=self._row)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def await_requests(stack: Stack) -> None:
    """Until Prometheus knows of the history's requests."""
    clusters = f'envoy_cluster_upstream_rq{{envoy_cluster_name=~"httproute/modelway-models/{MODEL}-split/.*"}}'
    deadline = time.monotonic() + 180
    while not stack.prometheus(f"sum(increase({clusters}[5m])) > {HISTORY_REQUESTS}"):
        assert time.monotonic() < deadline


def outage(stack: Stack, version: str) -> float:
    """All pods of a version go; when it was done."""
    stack.kubectl("scale", "-n", "modelway-models", f"deployment/{MODEL}-{version}", "--replicas=0")
    return time.monotonic()


@pytest.mark.parametrize(("version", "asked"), [("v1", True), ("v2", False)], ids=["with requests", "nobody asks"])
def test_a_total_outage_pages_within_90_seconds_with_a_minute_of_history(
    stack: Stack, hook: Hook, url: str, figure: Callable[[str], None], version: str, asked: bool
) -> None:
    row = stack.reference("v1")["rows"][0]
    if asked:
        with Requests(f"{url}/predict", row):
            await_requests(stack)
            assert hook.got.empty()
            began = outage(stack, version)
            at, alert = hook.first(version, PAGED_WITHIN_SECONDS)
    else:
        began = outage(stack, version)
        at, alert = hook.first(version, PAGED_WITHIN_SECONDS)
    kind = "with requests" if asked else "that nobody asks"
    (age,) = stack.prometheus('time() - process_start_time_seconds{job="prometheus"}')
    seen = f"{float(age['value'][1]) - time.monotonic() + began:.0f} s of history"
    figure(f"total outage of a version {kind}, {seen}: paged after {at - began:.1f} s")
    assert at - began <= PAGED_WITHIN_SECONDS
    assert alert["labels"]["alertname"] == "ModelAvailabilityPage"
    assert alert["annotations"]["runbook_url"] == f"{BASE}/model-availability.md"


@pytest.mark.usefixtures("url")
def test_alertmanager_is_scraped_and_told_everything(stack: Stack, figure: Callable[[str], None]) -> None:
    assert [found["value"][1] for found in stack.prometheus('up{job="alertmanager"}')] == ["1"]
    (dropped,) = stack.prometheus("sum(prometheus_notifications_dropped_total)")
    assert dropped["value"][1] == "0"
    (failed,) = stack.prometheus("sum(alertmanager_notifications_failed_total)")
    assert failed["value"][1] == "0"
    for job in stack.prometheus("sum by (job) (scrape_samples_post_metric_relabeling)"):
        pods = stack.prometheus(f'count(up{{job="{job["metric"]["job"]}"}})')[0]["value"][1]
        figure(f"samples per scrape of {job['metric']['job']}: {job['value'][1]} of {pods} targets")
    for what in ("prometheus_tsdb_head_series", "rate(prometheus_tsdb_head_samples_appended_total[1m])"):
        figure(f"{what}: {' '.join(each['value'][1] for each in stack.prometheus(what))}")
    (recorded,) = stack.prometheus('count({__name__=~".+:.+"})')
    figure(f"recorded series: {recorded['value'][1]}")
