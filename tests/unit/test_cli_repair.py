"""What a killed run leaves: creates that nobody wrote down, locks, and state of a cluster that is gone."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.engine import locks
from infra.engine.pending import Pending, adopted, forgotten, object_id, pending_creates
from tools.problem import ProblemError

URN = "urn:pulumi:node::modelway::kubernetes:apps/v1:Deployment::a"


def create(kind: str, inputs: dict[str, Any], urn: str = URN) -> dict[str, Any]:
    return {"type": "creating", "resource": {"urn": urn, "type": kind, "custom": True, "inputs": inputs}}


@pytest.mark.parametrize(
    ("kind", "inputs", "identity"),
    [
        ("kubernetes:apps/v1:Deployment", {"metadata": {"name": "a", "namespace": "models"}}, "models/a"),
        ("kubernetes:core/v1:Namespace", {"metadata": {"name": "models"}}, "models"),
        ("kubernetes:helm.sh/v3:Release", {"name": "eg", "namespace": "gateway"}, "gateway/eg"),
        ("kubernetes:core/v1:Secret", {"metadata": {"name": {"secret": "x"}}}, None),
        ("command:local:Command", {"create": "kind create cluster"}, None),
    ],
)
def test_an_object_has_the_id_that_the_provider_gives(kind: str, inputs: dict[str, Any], identity: str | None) -> None:
    assert object_id({"type": kind, "inputs": inputs}) == identity


def test_objects_are_looked_for_and_commands_start_over() -> None:
    deployment = {
        "resources": [{"urn": "urn:other"}],
        "pending_operations": [
            create("kubernetes:apps/v1:Deployment", {"metadata": {"name": "a", "namespace": "models"}}),
            create("command:local:Command", {}, "urn:command"),
            {"type": "updating", "resource": {"urn": "urn:other", "type": "x"}},
        ],
    }
    pending = pending_creates(deployment)
    assert pending == Pending({URN: "models/a"}, ("urn:command",))
    repaired = adopted(deployment, pending)
    assert [(each["urn"], each.get("id")) for each in repaired["resources"]] == [("urn:other", None), (URN, "models/a")]
    assert repaired["pending_operations"] == []


def test_the_replacement_of_a_recorded_resource_is_not_recorded_twice() -> None:
    inputs = {"metadata": {"name": "b", "namespace": "models"}}
    deployment = {"resources": [{"urn": URN}], "pending_operations": [create("kubernetes:core/v1:ConfigMap", inputs)]}
    assert pending_creates(deployment) == Pending({}, (URN,))


def test_components_and_other_operations_need_no_repair() -> None:
    component = create("modelway:index:ModelServer", {})
    component["resource"]["custom"] = False
    assert pending_creates({}) == Pending({}, ())
    assert pending_creates({"pending_operations": [{"type": "deleting", "resource": {}}, component]}) == Pending({}, ())


def test_a_gone_cluster_takes_its_resources_along_and_leaves_the_machines() -> None:
    resources = [
        {"urn": "stack", "type": "pulumi:pulumi:Stack", "custom": False},
        {"urn": "kind", "type": "command:local:Command", "custom": True, "dependencies": ["provider", "stack"]},
        {"urn": "provider", "type": "pulumi:providers:kubernetes", "custom": True},
        {"urn": "map", "type": "kubernetes:core/v1:ConfigMap", "custom": True},
        {
            "urn": "registry",
            "type": "command:local:Command",
            "custom": True,
            "propertyDependencies": {"x": ["map", "kind"], "y": None},
            "deletedWith": "map",
        },
    ]
    left = forgotten(resources, ("command:",))
    assert [each["urn"] for each in left] == ["stack", "kind", "registry"]
    assert left[1]["dependencies"] == ["stack"]
    assert left[2] == {
        "urn": "registry",
        "type": "command:local:Command",
        "custom": True,
        "propertyDependencies": {"x": ["kind"], "y": []},
    }
    assert forgotten(resources, ()) == []


def lock(folder: Path, pid: int, host: str = "") -> Path:
    place = folder / ".pulumi/locks/organization/modelway/node"
    place.mkdir(parents=True)
    content = {
        "pid": pid,
        "username": "me",
        "hostname": host or socket.gethostname(),
        "timestamp": "2026-01-01T00:00:00Z",
    }
    (place / "x.json").write_text(json.dumps(content))
    (place / "x.json.attrs").write_text("{}")
    return place


def heal(folder: Path) -> list[str]:
    said: list[str] = []
    locks.heal(folder, "modelway", "node", folder / "engine.pid", said.append)
    return said


def test_a_dead_runs_lock_is_removed_and_said() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert not locks.is_engine(ended.pid)


def test_a_lock_without_a_living_engine_goes_away(tmp_path: Path) -> None:
    place = lock(tmp_path, os.getpid())
    assert heal(tmp_path) == [f"Removed the lock that a killed run left on stack node (process {os.getpid()} is gone)."]
    assert list(place.iterdir()) == []


def test_a_lock_of_another_machine_is_left_alone(tmp_path: Path) -> None:
    place = lock(tmp_path, 1, "elsewhere")
    with pytest.raises(ProblemError) as raised:
        heal(tmp_path)
    assert str(raised.value) == (
        "stack node: it is locked: got me@elsewhere since 2026-01-01T00:00:00Z, allowed one run at a time; "
        "wait for it to end, or run `pulumi cancel -s node` when it is dead."
    )
    assert len(list(place.iterdir())) == 2


def test_a_living_engine_of_somebody_else_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock(tmp_path, 4711)
    monkeypatch.setattr(locks, "is_engine", lambda _pid: True)
    with pytest.raises(ProblemError, match="got process 4711 since"):
        heal(tmp_path)


def test_only_one_process_holds_a_stack(tmp_path: Path) -> None:
    with locks.exclusive(tmp_path, "node"), pytest.raises(ProblemError) as raised, locks.exclusive(tmp_path, "node"):
        pass
    assert f"got process {os.getpid()}" in str(raised.value)
    with locks.exclusive(tmp_path, "node"):
        pass
