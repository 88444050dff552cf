"""Pods that come and go with the load, down to none."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.cluster.load import Load
from tests.cluster.stack import LONG, PROJECT, Stack

pytestmark = LONG

RATE, SECONDS = 60, 180
IDLE_SECONDS = 60
COUNTS = """
import sys
from pathlib import Path
from rich.console import Console
from infra import deploy
counts = deploy.up(deploy.job("node", Console(stderr=True), Path(sys.argv[1]))).outcome.counts
print(sorted(op for op, number in counts.items() if number))
"""
STEADY = {"maxReplicas": 2, "scaleDownStabilizationSeconds": 0}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scaled") / "project"


@pytest.fixture(scope="module")
def url(stack: Stack, project: Path) -> Iterator[str]:
    """URL of the model `scaled`, a version by CPU, one by requests in flight and one that sleeps; afterwards the stack
    is as it was."""
    image = stack.lock()["breast-cancer:v1"]
    busy = {**STEADY, "minReplicas": 1, "metric": "inFlight", "inFlightRequestsPerPod": 0.05}
    asleep = {**STEADY, "minReplicas": 0, "metric": "queue", "queuedRowsPerPod": 100, "idleSeconds": IDLE_SECONDS}
    versions = [
        # Little of a core, so that a test's load is a step.
        {"name": "cpu", "autoscaling": {**STEADY, "minReplicas": 1}, "resources": {"cpuRequest": "20m"}, "weight": 100},
        {"name": "busy", "autoscaling": busy, "weight": 0},
        {"name": "asleep", "autoscaling": asleep, "weight": 0},
    ]
    model = {"name": "scaled", "versions": [{**version, "image": image} for version in versions]}
    split, *_ = stack.up_with(model, project)
    yield split.removesuffix("/predict")
    stack.modelway("up", "node")


def pods(stack: Stack, version: str, field: str, count: int) -> None:
    """Wait until the Deployment of this version has so many pods."""
    command = ("wait", "-n", "modelway-models", f"deployment/scaled-{version}", f"--timeout={SECONDS}s")
    stack.kubectl(*command, f"--for=jsonpath={{.{field}}}={count}")


@pytest.mark.parametrize("version", ["cpu", "busy"])
def test_a_load_step_takes_one_pod_to_two_and_back(
    stack: Stack, url: str, project: Path, version: str, figure: Callable[[str], None]
) -> None:
    row = stack.reference("v1")["rows"][0]
    pods(stack, version, "status.readyReplicas", 1)
    started = time.monotonic()
    with Load(f"{url}/{version}/predict", row, rate=RATE) as outcome:
        pods(stack, version, "status.readyReplicas", 2)
        up = time.monotonic() - started
        command = [sys.executable, "-c", COUNTS, str(project)]
        again = subprocess.run(
            command, cwd=PROJECT, env=dict(stack.environment), capture_output=True, text=True, check=False
        )
        assert (again.returncode, again.stdout) == (0, "['same']\n"), again.stdout + again.stderr
        pods(stack, version, "spec.replicas", 2)
    started = time.monotonic()
    pods(stack, version, "spec.replicas", 1)
    down = time.monotonic() - started
    figure(f"{RATE} requests/s by {version}: 2 pods after {up:.0f} s, 1 again {down:.0f} s after, {outcome.sent} sent")
    assert outcome.failures == []


def test_a_version_without_pods_is_woken_by_requests_that_get_503_with_retry_after(
    stack: Stack, url: str, figure: Callable[[str], None]
) -> None:
    row = stack.reference("v1")["rows"][0]
    pods(stack, "asleep", "spec.replicas", 0)
    labels = "app.kubernetes.io/name=scaled,app.kubernetes.io/version=asleep"
    stack.kubectl("wait", "-n", "modelway-models", "pods", "-l", labels, "--for=delete", "--timeout=120s")
    statuses: Counter[int] = Counter()
    started = time.monotonic()
    with httpx.Client(trust_env=False) as client:
        while statuses[200] == 0 and time.monotonic() - started < SECONDS:
            # Five a second, on a schedule: a client that comes back sooner than it was told.
            time.sleep(max(0.0, started + statuses.total() / 5 - time.monotonic()))
            answer = client.post(f"{url}/asleep/predict", json=row)
            statuses[answer.status_code] += 1
            if answer.status_code == 503:
                assert answer.headers["retry-after"] == "1"
                assert answer.json()["error"] == "no server is ready"
    figure(f"from no pod: the first 200 after {time.monotonic() - started:.1f} s, {statuses[503]} x 503 before it")
    assert set(statuses) == {503, 200}


def test_keda_is_refused_nothing_that_it_needs(stack: Stack, url: str) -> None:
    del url
    for name in ("keda-operator", "keda-metrics-apiserver"):
        log = stack.kubectl("logs", "-n", "modelway-keda", f"deployment/{name}")
        assert "forbidden" not in log
    conditions = "{range .items[*]}{.status.conditions[?(@.type=='Ready')].status} {end}"
    ready = stack.kubectl("get", "scaledobjects", "-n", "modelway-models", "-o", f"jsonpath={conditions}")
    assert ready.split() == ["True", "True"]
    api = "{.status.conditions[?(@.type=='Available')].status}"
    assert stack.kubectl("get", "apiservice", "v1beta1.external.metrics.k8s.io", "-o", f"jsonpath={api}") == "True"
