"""Rollouts by a real judge on a real node: bad canaries under load, equal ones, and a judge without its Prometheus.

A bad canary is a server that answers as bad as its image was built to; `canary/server.py` is all of it.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline import lock
from tests.cluster.load import Load
from tests.cluster.split import shares
from tests.cluster.stack import FULL, PORTS, PROJECT, Stack
from tools import images
from tools.progress import Progress

# The first one waits for the node and for the images of all.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

RATE = 50
GOAL_SECONDS = 60
BAD = {"errors": "errors is worse", "slow": "latency is worse", "constant": "predictions have shifted"}
"""How a candidate is bad, and how the reason for its rollback begins."""
EQUAL = "equal"
EQUAL_RUNS = 10 if FULL else 1
RULES: dict[str, Any] = {
    "candidate": "v2",
    "mode": "automatic",
    "steps": [10, 50, 100],
    "metrics": [{"kind": "errors", "margin": 0.05}],
    "slowSeconds": 0.05,
    "stepSeconds": 10,
    "minimumTrials": 50,
    "maximumSeconds": 600,
    "warmupSeconds": 0,
}


def model(name: str, candidate: str) -> dict[str, Any]:
    """A good version, and a candidate beside it under an experiment."""
    versions = [
        {"name": "v1", "image": "canary:good", "weight": 100, "replicas": 1},
        {"name": "v2", "image": f"canary:{candidate}", "weight": 0, "replicas": 1},
    ]
    return {"name": f"canary-{name}", "versions": versions, "experiment": RULES}


@pytest.fixture(scope="module")
def urls(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """URL of each model by how its candidate behaves; afterwards the stack is as it was."""
    folder = tmp_path_factory.mktemp("canaries")
    registry = f"127.0.0.1:{PORTS['MODELWAY_REGISTRY_PORT']}"
    recorded = pytest.MonkeyPatch()
    recorded.setenv("MODELWAY_IMAGES_LOCK", stack.environment["MODELWAY_IMAGES_LOCK"])
    for behaviour in ("good", *BAD):
        tag = f"canary:{behaviour}"
        context = folder / behaviour
        shutil.copytree(PROJECT / "tests/cluster/canary", context)
        (context / "behaviour").write_text(behaviour)
        image = images.build(context, tag, {}, Progress())
        lock.record("canary", behaviour, images.push(image, f"{registry}/{tag}", Progress()))
    recorded.undo()
    first, *others = [model(EQUAL, "good"), *(model(name, name) for name in BAD)]
    # The engine waits for eight Services at once on two cores, and would never come to the pods that they wait for.
    stack.up_with(first, folder / "three", *others[:2])
    stack.up_with(first, folder / "project", *others)
    yield {name: f"{stack.gateway}/canary-{name}/predict" for name in (EQUAL, *BAD)}
    stack.modelway("up", "node")


def state(stack: Stack, name: str) -> dict[str, Any]:
    """What the judge wrote; empty before it did."""
    path = "{.data.state\\.json}"
    text = stack.kubectl(
        *("get", "configmap", f"canary-{name}-experiment-state", "-n", "modelway-models", "-o", f"jsonpath={path}")
    )
    found: dict[str, Any] = json.loads(text or "{}")
    return found


def awaited(found: Callable[[], bool], seconds: float, what: str) -> float:
    """Seconds until something is so; fails when it is not in time."""
    began = time.monotonic()
    while not found():
        assert time.monotonic() - began < seconds, f"{what}: not within {seconds:g} s"
        time.sleep(0.5)
    return time.monotonic() - began


def exposed(stack: Stack, name: str) -> None:
    """Wait until the candidate has its first weight."""
    awaited(lambda: shares(stack, f"canary-{name}") == {"v1": 90, "v2": 10}, 180, f"the first step of {name}")


def ask(stack: Stack, name: str, command: str) -> None:
    """Leave a command for the judge."""
    note = f"modelway.dev/rollout-command={json.dumps({'id': f'{command}-{time.time()}', 'command': command})}"
    place = ("configmap", f"canary-{name}-experiment-state", "-n", "modelway-models")
    stack.kubectl("annotate", "--overwrite", *place, note)


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_canary_is_rolled_back_within_a_minute(
    stack: Stack, urls: dict[str, str], bad: str, figure: Callable[[str], None]
) -> None:
    exposed(stack, bad)
    with Load(urls[bad], {"x": 1}, rate=RATE) as outcome:
        taken = awaited(lambda: shares(stack, f"canary-{bad}") == {"v1": 100}, GOAL_SECONDS, f"the rollback of {bad}")
    found = state(stack, bad)
    figure(
        f"canary with {bad}: rolled back {taken:.0f} s after the first of {outcome.sent} requests, "
        f"{outcome.versions['v2']} of them its own: {found['verdict']['reason']}"
    )
    assert found["status"] == "rolled back"
    assert found["verdict"]["reason"].startswith(BAD[bad])
    events = stack.kubectl(
        *("get", "events.events.k8s.io", "-n", "modelway-models", "-o", "jsonpath={.items[*].note}"),
        *("--field-selector", f"regarding.name=canary-{bad}-split"),
    )
    assert found["verdict"]["reason"] in events


def test_equal_canaries_are_promoted_though_the_judge_is_killed(
    stack: Stack, urls: dict[str, str], figure: Callable[[str], None]
) -> None:
    """Every run is one A/A canary; at most one of ten may be aborted."""
    aborted = []
    for run in range(EQUAL_RUNS):
        exposed(stack, EQUAL)
        with Load(urls[EQUAL], {"x": 1}, rate=RATE) as outcome:
            awaited(lambda: state(stack, EQUAL)["step"] > 0 or ended(stack), 180, "the second step")
            before = state(stack, EQUAL)
            judge = f"app.kubernetes.io/component=rollout-judge,app.kubernetes.io/name=canary-{EQUAL}"
            stack.kubectl("delete", "pod", "-n", "modelway-models", "-l", judge, "--grace-period=0", "--force")
            taken = awaited(lambda: ended(stack), 240, "the end of an equal canary")
        after = state(stack, EQUAL)
        assert after["started_at"] == before["started_at"]
        assert after["looks"] >= before["looks"]
        assert after["history"][: len(before["history"])] == before["history"]
        evidence = {label: round(metric["evidence"], 3) for label, metric in after["metrics"].items()}
        figure(f"A/A canary: {after['status']} {taken:.0f} s after its judge was killed, evidence {evidence}")
        assert outcome.failures == []
        if after["status"] != "promoted":
            aborted.append(after["verdict"]["reason"])
        if run + 1 < EQUAL_RUNS:
            ask(stack, EQUAL, "restart")
    assert len(aborted) <= EQUAL_RUNS // 10, aborted


def ended(stack: Stack) -> bool:
    """Whether the equal canary's experiment is over."""
    return state(stack, EQUAL)["status"] in ("promoted", "rolled back")


def test_without_prometheus_no_canary_is_promoted(
    stack: Stack, urls: dict[str, str], figure: Callable[[str], None]
) -> None:
    ask(stack, EQUAL, "restart")
    exposed(stack, EQUAL)
    prometheus = ("deployment/prometheus", "-n", "modelway-monitoring")
    stack.kubectl("scale", *prometheus, "--replicas=0")
    try:
        with Load(urls[EQUAL], {"x": 1}, rate=RATE) as outcome:
            awaited(lambda: bool(state(stack, EQUAL)["missing"]), 60, "a look without Prometheus")
            began = time.monotonic()
            awaited(lambda: time.monotonic() - began > 3 * RULES["stepSeconds"], 60, "three steps' time")
        found = state(stack, EQUAL)
    finally:
        stack.kubectl("scale", *prometheus, "--replicas=1")
        stack.kubectl("rollout", "status", *prometheus, "--timeout=120s")
    figure(f"without Prometheus: {found['status']} at weight 10 after {outcome.sent} requests: {found['missing']}")
    assert (found["status"], found["step"], found["verdict"]["decision"]) == ("running", 0, "hold")
    assert shares(stack, f"canary-{EQUAL}") == {"v1": 90, "v2": 10}
