"""What breaks, and what clients see of it: requests from a network namespace of their own, none of them repeated."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.outside import OutsideLoad
from tests.cluster.stack import LONG, Stack

pytestmark = LONG

PATH, RATE = "/breast-cancer/v1/predict", 50
SELECTOR = "app.kubernetes.io/name=breast-cancer,app.kubernetes.io/version=v1"
MODELS, GATEWAY = ("-n", "modelway-models"), ("-n", "modelway-gateway")
PROXY = "gateway.envoyproxy.io/owning-gateway-name=modelway,app.kubernetes.io/component=proxy"
SETTLE_SECONDS = 8.0
"""How long load goes on before and after, so that long requests are under way and what comes late is seen."""
OUT_SECONDS, RESTART_SECONDS, CLEAN_SECONDS = 5.0, 30.0, 2.0


@pytest.fixture(autouse=True)
def whole(stack: Stack) -> Iterator[None]:
    """Before and after each test every pod of the version is ready."""
    ready(stack)
    yield
    ready(stack)


def ready(stack: Stack) -> None:
    stack.kubectl("rollout", "status", *MODELS, "deployment/breast-cancer-v1", "--timeout=180s")


def load(stack: Stack) -> OutsideLoad:
    return OutsideLoad(stack, PATH, stack.reference("v1")["rows"][0], RATE)


@contextmanager
def settled() -> Iterator[None]:
    time.sleep(SETTLE_SECONDS)
    yield
    time.sleep(SETTLE_SECONDS)


def names(stack: Stack, namespace: tuple[str, str], selector: str) -> list[str]:
    """Pods that are not on their way out."""
    found = json.loads(stack.kubectl("get", "pods", *namespace, "-l", selector, "-o", "json"))["items"]
    return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]


def processes(pod: str, program: str) -> list[int]:
    """Processes of the pod that run this program, oldest first, as this machine counts them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            own = f"HOSTNAME={pod}".encode() in (folder / "environ").read_bytes().split(b"\0")
            if own and program.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    assert found, f"no {program} in {pod}"
    return sorted(found)


def evict(stack: Stack, pod: str) -> str:
    metadata = {"name": pod, "namespace": "modelway-models"}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    path = f"/api/v1/namespaces/modelway-models/pods/{pod}/eviction"
    return stack.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body), check=False)


def test_a_second_eviction_is_refused_and_the_first_loses_no_request(
    stack: Stack, figure: Callable[[str], None]
) -> None:
    first, second = names(stack, MODELS, SELECTOR)
    with load(stack) as running, settled():
        assert '"status":"Success"' in evict(stack, first)
        answer = evict(stack, second)
        assert "would violate the pod's disruption budget" in answer
        assert "TooManyRequests" in answer
        stack.kubectl("wait", *MODELS, f"pod/{first}", "--for=delete", "--timeout=120s")
        ready(stack)
    figure(f"eviction, and a second one refused with 429: {running.report.figure()}")
    assert running.report.failures == []


def test_a_server_that_hangs_leaves_the_rotation_and_is_restarted(stack: Stack, figure: Callable[[str], None]) -> None:
    pod = names(stack, MODELS, SELECTOR)[0]
    hung = processes(pod, "modelway_server")
    with load(stack) as running, settled():
        stopped = time.monotonic()
        for process in hung:
            os.kill(process, signal.SIGSTOP)
        stack.kubectl("wait", *MODELS, f"pod/{pod}", "--for=condition=Ready=False", "--timeout=60s")
        out = time.monotonic() - stopped
        restarts = "jsonpath={.status.containerStatuses[0].restartCount}"
        stack.kubectl("wait", *MODELS, f"pod/{pod}", f"--for={restarts}=1", "--timeout=120s")
        restarted = time.monotonic() - stopped
        ready(stack)
    late = [began - stopped for began, _, _ in running.report.failures]
    last = max(late, default=0.0)
    figure(f"hang: out of the rotation after {out:.1f} s, restarted after {restarted:.1f} s, the last failed request "
           f"began after {last:.1f} s; {running.report.figure()}")  # fmt: skip
    assert out <= OUT_SECONDS
    assert restarted <= RESTART_SECONDS
    assert last <= OUT_SECONDS + CLEAN_SECONDS


def test_a_killed_server_loses_only_what_it_had(stack: Stack, figure: Callable[[str], None]) -> None:
    pod = names(stack, MODELS, SELECTOR)[0]
    with load(stack) as running, settled():
        killed = time.monotonic()
        for process in processes(pod, "modelway_server"):
            os.kill(process, signal.SIGKILL)
        ready(stack)
    began = [when - killed for when, _, _ in running.report.failures]
    figure(f"kill -9 of a server: failed requests began {min(began, default=0):.1f} to {max(began, default=0):.1f} s "
           f"after it; {running.report.figure()}")  # fmt: skip
    assert max(began, default=0.0) <= CLEAN_SECONDS


def test_without_the_gateway_s_controller_traffic_goes_on_and_weights_are_frozen(
    stack: Stack, figure: Callable[[str], None]
) -> None:
    path, row = "/breast-cancer/predict", stack.reference("v1")["rows"][0]
    split = ("patch", "httproute", "breast-cancer-split", *MODELS, "--type=json", "-p")
    before = stack.kubectl("get", "httproute", "breast-cancer-split", *MODELS, "-o", "jsonpath={.spec.rules}")
    swapped = json.loads(before)
    for rule in swapped:
        for backend, weight in zip(rule["backendRefs"], (0, 100), strict=True):
            backend["weight"] = weight
    (controller,) = names(stack, GATEWAY, "control-plane=envoy-gateway")
    try:
        with OutsideLoad(stack, path, row, RATE) as running, settled():
            for process in processes(controller, "envoy-gateway"):
                os.kill(process, signal.SIGKILL)
            stack.kubectl("scale", *GATEWAY, "deployment/envoy-gateway", "--replicas=0")
            stack.kubectl("wait", *GATEWAY, f"pod/{controller}", "--for=delete", "--timeout=120s")
            stack.kubectl(*split, json.dumps([{"op": "replace", "path": "/spec/rules", "value": swapped}]))
            frozen = time.monotonic()
            time.sleep(SETTLE_SECONDS)
            thawed = time.monotonic()
            stack.kubectl("scale", *GATEWAY, "deployment/envoy-gateway", "--replicas=1")
            stack.kubectl("rollout", "status", *GATEWAY, "deployment/envoy-gateway", "--timeout=180s")
    finally:
        stack.kubectl("scale", *GATEWAY, "deployment/envoy-gateway", "--replicas=1")
        stack.kubectl(*split, json.dumps([{"op": "replace", "path": "/spec/rules", "value": json.loads(before)}]))
    meanwhile = [version for began, version in running.report.versions if frozen <= began <= thawed]
    share = meanwhile.count("v2") / len(meanwhile)
    moved = [began for began, version in running.report.versions if began > thawed and version == "v1"]
    figure(f"controller killed: v2 had {share:.0%} of {len(meanwhile)} requests while its weight was 100 already, "
           f"v1 its last {max(moved, default=thawed) - thawed:.1f} s after the controller was back; {running.report.figure()}")  # fmt: skip
    assert running.report.failures == []
    assert 0.02 <= share <= 0.25


def test_one_killed_proxy_is_a_gap_of_seconds(stack: Stack, figure: Callable[[str], None]) -> None:
    (proxy,) = names(stack, GATEWAY, PROXY)
    with load(stack) as running, settled():
        killed = time.monotonic()
        for process in processes(proxy, "envoy\0--"):
            os.kill(process, signal.SIGKILL)
    ends = [ended - killed for _, ended, _ in running.report.failures]
    answered = [began - killed for began, _ in running.report.versions if began > killed]
    figure(f"the only proxy killed: {min(answered):.1f} s until the first request that was answered, the last failure "
           f"after {max(ends, default=0):.1f} s; {running.report.figure()}")  # fmt: skip
    assert min(answered) <= 15
