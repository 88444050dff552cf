"""The judge on a real API server, with the rights that it is deployed with: what it writes, and what a kill leaves."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rollout_judge.plan import Kind, Metric
from rollout_judge.state import Status
from rollout_testing import Version, World, plan

from tests.engine.apiserver import Api, running
from tests.engine.judge_ground import COMMAND, Death, Ground, KilledError, Pod
from tests.unit.k8s_objects import crds

pytestmark = pytest.mark.engine

QUICK = {"step_seconds": 10.0, "minimum_trials": 20, "alpha": 0.05}
FAILING = {"v1": Version(), "v2": Version(errors=0.1)}
Make = Callable[..., Ground]


@pytest.fixture(scope="module")
def server(binaries: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API server with the Gateway API."""
    with running(tmp_path_factory.mktemp("api"), binaries) as api:
        (routes,) = [each for each in crds() if each["metadata"]["name"] == "httproutes.gateway.networking.k8s.io"]
        api.kubectl("create", "-f", "-", stdin=json.dumps(routes))
        api.wait_for_types("httproutes.gateway.networking.k8s.io")
        yield api


@pytest.fixture
def make(server: Api, request: pytest.FixtureRequest) -> Make:
    """Makes an experiment of the test's own."""
    count = 0

    def ground(versions: dict[str, Version] | None = None, **changes: Any) -> Ground:
        nonlocal count
        count += 1
        name = hashlib.sha256(request.node.name.encode()).hexdigest()[:8]
        world = World(**({"versions": versions} if versions else {}))
        return Ground(server, f"judge-{name}-{count}", plan(**{**QUICK, **changes}), world)

    return ground


def test_an_experiment_starts_at_its_first_step_and_touches_nothing_but_weights(make: Make) -> None:
    ground = make(mode="guard")
    before = ground.rules()
    ground.course(ground.pod(), 2)
    assert ground.weights() == {"v1": 90, "v2": 10}
    rules = ground.rules()
    for rule in rules:
        for backend, weight in zip(rule["backendRefs"], (100, 0), strict=True):
            backend["weight"] = weight
    assert rules == before
    managed = ground.get("httproute", "m-split")["metadata"]["managedFields"]
    (judge,) = [entry for entry in managed if entry["manager"] == "modelway-rollout-judge"]
    assert (judge["operation"], judge["fieldsV1"]) == ("Apply", {"f:spec": {"f:rules": {}}})


def test_a_failing_candidate_is_rolled_back_with_an_event_and_a_good_one_is_promoted(make: Make) -> None:
    bad, good = make(FAILING, step_seconds=100.0), make(maximum_seconds=3600.0)
    pod = bad.pod()
    bad.course(pod, 12)
    assert (bad.state().status, bad.weights()) == (Status.ROLLED_BACK, {"v1": 100, "v2": 0})
    assert bad.state().seconds(bad.state().history[-1].at) <= 60
    assert bad.events() == ["Started", "RolledBack"]
    decisions = [line["decision"] for line in pod.lines() if line["event"] == "decision"]
    assert decisions == ["started", "rolled back"]
    good.course(good.pod(), 60)
    assert (good.state().status, good.weights()) == (Status.PROMOTED, {"v1": 0, "v2": 100})
    assert good.events() == ["Started", "Step", "Promoted"]


def revive(ground: Ground, death: Death) -> Pod:
    """The pod's container starts again: another process with the same name."""
    pod = ground.pod()
    pod.death.write, pod.death.after = death.write, death.after
    return pod


def turn_with_kills(ground: Ground) -> tuple[int, Pod]:
    """One turn in which the judge is killed before its first write, after it, before the second, …; how often."""
    kills, known = 0, [ground.weights()]
    while True:
        death = Death(write=kills // 2 + 1, after=bool(kills % 2))
        pod = revive(ground, death)
        try:
            pod.judge.turn()
        except KilledError:
            kills += 1
            data = ground.get("configmap", "m-experiment-state").get("data")
            known += [ground.state().weights] if data else []
            # Nothing is done that was not written before.
            assert ground.weights() in known
        else:
            return kills, pod


@pytest.mark.parametrize("versions", [FAILING, None], ids=["rolled-back", "promoted"])
def test_a_judge_that_is_killed_at_every_write_ends_with_the_same_evidence(
    make: Make, versions: dict[str, Version] | None
) -> None:
    margin = (Metric(kind=Kind.ERRORS, margin=0.1),)
    undisturbed, killed = make(versions, metrics=margin), make(versions, metrics=margin)
    looks = 7 if versions else 12
    undisturbed.course(undisturbed.pod(), looks)
    kills = 0
    for _ in range(looks):
        more, _pod = turn_with_kills(killed)
        kills += more
        killed.seconds(5)
    # The Lease and the state at every look, the route and an Event at each decision, each before and after.
    assert kills >= 4 * looks
    expected, found = undisturbed.state(), killed.state()
    assert found.history == expected.history
    assert found.metrics == expected.metrics
    assert found.classes == expected.classes
    assert found.status is (Status.ROLLED_BACK if versions else Status.PROMOTED)
    assert killed.weights() == undisturbed.weights()
    assert (
        killed.events()
        == undisturbed.events()
        == ["".join(map(str.capitalize, e.event.split())) for e in found.history]
    )


def test_a_second_judge_waits_until_the_lease_of_the_first_is_over(make: Make) -> None:
    ground = make(mode="guard")
    first, second = ground.pod("judge-a"), ground.pod("judge-b")
    first.judge.turn()
    second.judge.turn()
    assert (first.telemetry.ready, second.telemetry.ready) == (True, False)
    second.clock.now = 14.9
    second.judge.turn()
    assert not second.telemetry.ready
    first.judge.turn()
    second.clock.now = 16.0
    second.judge.turn()
    assert not second.telemetry.ready  # it was renewed
    second.clock.now = 31.1
    second.judge.turn()
    assert second.telemetry.ready
    first.judge.turn()
    assert not first.telemetry.ready
    second.judge.stop()
    first.judge.turn()
    assert first.telemetry.ready


@pytest.mark.parametrize("resource", ["configmaps", "httproutes"])
def test_a_judge_that_slept_through_its_lease_changes_nothing(make: Make, resource: str) -> None:
    """It has decided, and wakes up before its write of the state or of the route, when another one has acted."""
    ground = make(mode="guard")
    first, second = ground.pod("judge-a"), ground.pod("judge-b")
    ground.course(first, 2)

    def overtake() -> None:
        second.judge.turn()
        second.clock.now = 16.0
        ground.ask(command="promote", reason="the second judge acts")
        second.judge.turn()
        assert second.telemetry.ready

    ground.ask(command="rollback", reason="the first judge is about to act")
    first.death.sleeps[resource] = overtake
    first.judge.turn()
    assert first.lines()[-1]["what"] == "conflict"
    assert ground.state().status is Status.PROMOTED
    assert ground.weights() == {"v1": 0, "v2": 100}


def test_a_lease_that_was_not_renewed_in_time_lets_nothing_be_written(make: Make) -> None:
    ground = make(mode="guard")
    pod = ground.pod()
    ground.course(pod, 2)
    before = ground.state()
    now = ground.world.now

    def slow() -> float:
        pod.clock.now += 10.0
        return now()

    ground.world.now = slow  # type: ignore[method-assign]
    pod.judge.turn()
    assert ground.state() == before
    assert pod.lines()[-1] == {**pod.lines()[-1], "event": "waiting", "reason": "the Lease was not renewed in time"}


def test_a_changed_route_is_applied_with_the_weights_kept(make: Make) -> None:
    ground = make(mode="guard")
    pod = ground.pod()
    ground.course(pod, 2)
    (rule,) = ground.route["spec"]["rules"]
    rule["timeouts"] = {"request": "7s"}
    rule["backendRefs"].append({**rule["backendRefs"][0], "name": "m-v3", "weight": 0})
    ground.publish()
    pod.judge.turn()
    assert ground.rules()[0]["timeouts"] == {"request": "7s"}
    assert ground.weights() == {"v1": 90, "v2": 10, "v3": 0}
    assert pod.telemetry.ready
    ground.ask(command="rollback", version="v3")
    pod.judge.turn()
    assert ground.weights() == {"v1": 0, "v2": 0, "v3": 100}
    rule["backendRefs"].pop()
    ground.publish()
    pod.judge.turn()
    assert ground.weights() == {"v1": 100, "v2": 0}
    assert ground.state().history[-1].event == "route"


def test_weights_that_somebody_else_wrote_are_set_right(make: Make) -> None:
    ground = make(mode="guard")
    pod = ground.pod()
    ground.course(pod, 2)
    ground.write_route()
    assert ground.weights() == {"v1": 100, "v2": 0}
    pod.judge.turn()
    assert ground.weights() == {"v1": 90, "v2": 10}


def test_a_route_that_is_not_under_the_experiment_is_left_alone(make: Make) -> None:
    ground = make()
    pod = ground.pod()
    ground.api.kubectl("annotate", "httproute", "m-split", "-n", ground.namespace, "modelway.dev/experiment-")
    ground.course(pod, 2)
    assert ground.weights() == {"v1": 100, "v2": 0}
    assert not pod.telemetry.ready
    assert pod.lines()[-1]["reason"] == "the split route is not there, or not under this experiment"


def test_commands_are_carried_out_once_and_recorded(make: Make) -> None:
    ground = make(mode="guard")
    pod = ground.pod()
    ground.course(pod, 1)
    ground.ask(command="advance", reason="by hand")
    ground.course(pod, 1)
    assert ground.weights() == {"v1": 50, "v2": 50}
    for command, status in (("pause", Status.PAUSED), ("resume", Status.RUNNING)):
        ground.ask(command=command)
        ground.course(pod, 1)
        assert ground.state().status is status
    ground.ask(command="rollback", version="v9")
    ground.course(pod, 1)
    assert ground.state().history[-1].reason == (
        "rollback was refused: the route has no version v9, allowed are v1, v2"
    )
    ground.ask(command="rollback", version="v1", id="another", reason="enough")
    ground.course(pod, 2)
    assert (ground.state().status, ground.weights()) == (Status.ROLLED_BACK, {"v1": 100, "v2": 0})
    assert COMMAND not in ground.get("configmap", "m-experiment-state")["metadata"].get("annotations", {})
    ground.ask(command="restart")
    ground.course(pod, 2)
    state = ground.state()
    assert (state.status, ground.weights()) == (Status.RUNNING, {"v1": 90, "v2": 10})
    assert [ended.status for ended in state.previous] == ["rolled back"]
    assert [entry.event for entry in state.history] == [
        *("started", "step", "paused", "resumed", "command", "rolled back", "restarted", "started"),
    ]


def test_another_plan_of_the_same_versions_starts_anew(make: Make) -> None:
    ground = make(FAILING)
    pod = ground.pod()
    ground.course(pod, 12)
    assert ground.state().status is Status.ROLLED_BACK
    ground.plan = ground.plan.model_copy(update={"experiment": "e2"})
    ground.publish()
    ground.course(pod, 1)
    assert (ground.state().status, ground.state().experiment) == (Status.RUNNING, "e2")
    assert ground.state().previous[-1].reason.startswith("errors is worse: ")


@pytest.mark.parametrize("text", ["{", '{"version": 2}'])
def test_a_state_of_another_format_is_not_written_over(make: Make, text: str) -> None:
    ground = make()
    patch = json.dumps({"data": {"state.json": text}})
    ground.api.kubectl("patch", "configmap", "m-experiment-state", "-n", ground.namespace, "-p", patch)
    pod = ground.pod()
    ground.course(pod, 2)
    assert ground.get("configmap", "m-experiment-state")["data"]["state.json"] == text
    assert pod.lines()[-1]["what"] == "document"
    assert ground.weights() == {"v1": 100, "v2": 0}


def test_a_missing_config_map_ends_nothing(make: Make) -> None:
    ground = make(mode="guard")
    pod = ground.pod()
    ground.course(pod, 2)
    ground.api.kubectl("delete", "configmap", "m-experiment", "-n", ground.namespace)
    ground.course(pod, 1)
    assert not pod.telemetry.ready
    ground.publish()
    ground.course(pod, 1)
    assert pod.telemetry.ready
    assert "restarted" not in [entry.event for entry in ground.state().history]
    assert ground.state().started_at == 1_000_000.0
    assert ground.weights() == {"v1": 90, "v2": 10}


def test_without_prometheus_nothing_is_promoted_and_in_the_end_all_is_rolled_back(make: Make) -> None:
    ground = make(mode="guard", maximum_seconds=120.0)
    pod = ground.pod()
    ground.course(pod, 2)
    ground.world.down = True
    ground.course(pod, 15)
    assert (ground.state().status, ground.weights()) == (Status.RUNNING, {"v1": 90, "v2": 10})
    ground.course(pod, 15)
    assert (ground.state().status, ground.weights()) == (Status.ROLLED_BACK, {"v1": 100, "v2": 0})
    assert ground.state().history[-1].reason == (
        "the time of 120 s is over and Prometheus does not answer: ConnectError"
    )
    assert ground.events() == ["Started", "Held", "RolledBack"]
