"""The stack `local` on a machine whose `kind` and `docker` record what they are asked for."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pulumi
import pytest
from modelway import ExistingRegistry, KindCluster, LocalRegistry
from modelway.cluster.kind import KindClusterArgs
from modelway.registry.existing import ExistingRegistryArgs
from pulumi import automation as auto
from pulumi.automation.events import EngineEvent

from infra.engine.stack import HIDDEN
from tests.engine.apiserver import Api
from tests.engine.checkout import checkout
from tests.engine.conftest import Stack
from tests.engine.kind_machine import Machine, machine

pytestmark = pytest.mark.engine
NODE = "modelway-control-plane"
HOSTS = "/etc/containerd/certs.d/127.0.0.1:5000"
CONFIG = {
    "kind": "Cluster",
    "apiVersion": "kind.x-k8s.io/v1alpha4",
    "networking": {"apiServerAddress": "127.0.0.1"},
    "containerdConfigPatches": [
        '[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n'
    ],
    "nodes": [
        {
            "role": "control-plane",
            "extraPortMappings": [
                {"containerPort": 30080, "hostPort": 8080, "listenAddress": "127.0.0.1", "protocol": "TCP"}
            ],
        }
    ],
}
REGISTRY = [
    ["container", "inspect", "modelway-registry"],
    ["run", "--detach", "--restart", "always", "--publish", "127.0.0.1:5000:5000", "--name", "modelway-registry",
     "docker.io/library/registry:2"],
    ["network", "connect", "kind", "modelway-registry"],
    ["exec", NODE, "mkdir", "-p", HOSTS],
    ["exec", "-i", NODE, "cp", "/dev/stdin", f"{HOSTS}/hosts.toml", '[host."http://modelway-registry:5000"]\n'],
]  # fmt: skip


@pytest.fixture
def laptop(tmp_path: Path, api: Api) -> Machine:
    """A machine whose kind answers with the kubeconfig of the API server."""
    return machine(tmp_path / "laptop", api.kubeconfig())


@pytest.fixture
def there(laptop: Machine, environment: dict[str, str]) -> dict[str, str]:
    """Environment in which that machine's programs are found first."""
    return {**environment, "PATH": f"{laptop.folder / 'bin'}:{environment['PATH']}"}


@pytest.fixture
def local(tmp_path: Path, pulumi_command: auto.PulumiCommand, there: dict[str, str], empty_stack: Path) -> Stack:
    """A new stack on that machine."""
    return Stack(tmp_path / "stack", pulumi_command, there, empty_stack)


def program(namespace: str, cluster: KindClusterArgs | None = None) -> Callable[[], None]:
    """kind, its registry, and a component in the cluster that comes after both."""

    def run() -> None:
        kind = KindCluster("cluster", cluster or {})
        registry = LocalRegistry("registry", {"cluster": kind.name})
        after = pulumi.ResourceOptions(providers=[kind.provider], depends_on=[registry])
        hub = ExistingRegistryArgs(url="docker.io", namespace=namespace, username="reader", password="planted")
        ExistingRegistry("hub", hub, after)
        pulumi.export("name", kind.name)
        pulumi.export("endpoint", kind.endpoint)
        pulumi.export("kubeconfig", kind.kubeconfig)
        pulumi.export("registry", registry.url)

    return run


def finished(events: list[EngineEvent]) -> list[str]:
    """Logical names in the order in which the engine was done with them."""
    done = [event.res_outputs_event.metadata.urn for event in events if event.res_outputs_event]
    return [urn.rpartition("::")[2] for urn in done]


def asked(laptop: Machine, name: str) -> list[list[str]]:
    """What `kind` or `docker` was asked for, in order."""
    return [call[1:] for call in laptop.calls() if call[0] == name]


def test_the_cluster_comes_before_its_registry_and_both_before_what_runs_in_them(
    local: Stack, laptop: Machine, api: Api, namespace: str
) -> None:
    events: list[EngineEvent] = []
    local.up(program(namespace), on_event=events.append)
    first, create, *rest = asked(laptop, "kind")
    assert first == ["get", "clusters"]
    assert create[:-1] == ["create", "cluster", "--name", "modelway", "--config", "-", "--wait", "180s"]
    assert json.loads(create[-1]) == CONFIG
    assert sorted(rest) == [["get", "kubeconfig", "--name", "modelway"], ["get", "nodes", "--name", "modelway"]]
    assert asked(laptop, "docker") == REGISTRY
    order = finished(events)
    for earlier, later in (
        ("cluster-kind", "registry-container"),
        ("cluster-kind", "cluster-kubeconfig"),
        ("cluster-kubeconfig", "cluster-kubernetes"),
        ("cluster-kubernetes", "hub-pull-secret"),
        ("registry-container", "hub-pull-secret"),
    ):
        assert order.index(earlier) < order.index(later)
    outputs = local.outputs()
    assert (outputs["name"], outputs["registry"], outputs["endpoint"]) == ("modelway", "127.0.0.1:5000", api.url)
    assert api.value("secret", "hub-pull", ".type", namespace) == "kubernetes.io/dockerconfigjson"


def test_nothing_is_asked_of_the_machine_without_a_change(local: Stack, laptop: Machine, namespace: str) -> None:
    local.up(program(namespace))
    before = laptop.calls()
    assert {*local.preview(program(namespace))} == {*local.up(program(namespace))} == {"same"}
    assert laptop.calls() == before


def test_destroy_goes_the_way_back(local: Stack, laptop: Machine, api: Api, namespace: str) -> None:
    local.up(program(namespace))
    before, events = len(laptop.calls()), list[EngineEvent]()
    local.auto.destroy(on_event=events.append)
    assert laptop.calls()[before:] == [
        ["docker", "rm", "--force", "--volumes", "modelway-registry"],
        ["kind", "delete", "cluster", "--name", "modelway"],
    ]
    order = finished(events)
    assert order.index("hub-pull-secret") < order.index("registry-container") < order.index("cluster-kind")
    assert order.index("cluster-kubernetes") < order.index("cluster-kind")
    assert api.value("secret", "hub-pull", ".type", namespace) == ""


def test_the_kubeconfig_is_a_secret_in_state_output_and_recorded_calls(
    local: Stack, laptop: Machine, api: Api, namespace: str
) -> None:
    local.preview(program(namespace))
    local.up(program(namespace))
    key = next(line.split()[-1] for line in api.kubeconfig().splitlines() if "client-key-data" in line)
    assert local.outputs(secrets="")["kubeconfig"] == HIDDEN
    assert key in local.outputs()["kubeconfig"]
    seen = local.stored() + "".join(local.said) + (laptop.folder / "calls").read_text()
    assert [word for word in (key, "planted") if word in seen] == []


def test_what_a_killed_run_left_is_taken_over(local: Stack, laptop: Machine, namespace: str) -> None:
    (laptop.folder / "clusters/modelway").mkdir()
    (laptop.folder / "containers/modelway-registry/kind").mkdir(parents=True)
    local.up(program(namespace))
    assert [call for call in asked(laptop, "kind") if call[0] == "create"] == []
    container, connect, inspect, *copies = asked(laptop, "docker")
    assert [container, connect, *copies] == [REGISTRY[0], *REGISTRY[2:]]
    assert inspect == ["network", "inspect", "kind"]


def test_another_port_is_another_cluster_with_everything_in_it_made_again(
    local: Stack, laptop: Machine, namespace: str
) -> None:
    local.up(program(namespace))
    before = len(laptop.calls())
    changed = program(namespace, {"gateway_port": 8081})
    # cluster, kubeconfig, provider, registry and the one object; the components and the stack stay.
    assert local.preview(changed) == local.up(changed) == {"same": 4, "replace": 5}
    kind = [call[1:3] for call in laptop.calls()[before:] if call[0] == "kind"]
    assert kind[:3] == [["delete", "cluster"], ["get", "clusters"], ["create", "cluster"]]
    config = next(call[-1] for call in laptop.calls()[before:] if call[1:3] == ["create", "cluster"])
    assert json.loads(config)["nodes"][0]["extraPortMappings"][0]["hostPort"] == 8081


def test_a_node_image_is_passed_on(local: Stack, laptop: Machine, namespace: str) -> None:
    image = f"docker.io/kindest/node@sha256:{'a' * 64}"
    local.up(program(namespace, {"name": "trial", "image": image}))
    create = next(call for call in asked(laptop, "kind") if call[0] == "create")
    assert create[3] == "trial"
    assert json.loads(create[-1])["nodes"][0]["image"] == image


def test_a_kind_that_fails_is_told_with_its_words(local: Stack, laptop: Machine, namespace: str) -> None:
    (laptop.folder / "bin/kind").write_text("#!/bin/sh\necho 'ERROR: port is already allocated' >&2\nexit 1\n")
    said = local.refused("up", program(namespace))
    assert "the command ended with status 1: ERROR: port is already allocated" in said
    assert asked(laptop, "docker") == []


def test_preview_of_the_stack_asks_nothing_of_the_machine(
    tmp_path: Path, laptop: Machine, there: dict[str, str], api: Api
) -> None:
    work = checkout(tmp_path / "checkout", there, api.kubeconfig())
    work.pulumi("stack", "init", "local")
    planned = json.loads(work.pulumi("preview", "-s", "local", "--json"))
    assert [each["message"] for each in planned["diagnostics"] if each["severity"] == "error"] == []
    inputs = {step["urn"].rpartition("::")[2]: step["newState"].get("inputs") for step in planned["steps"]}
    assert json.loads(inputs["cluster-kind"]["stdin"]) == CONFIG
    assert inputs["registry-container"]["environment"]["PORT"] == os.environ.get("MODELWAY_REGISTRY_PORT", "5000")
    assert inputs["cluster-kubernetes"]["kubeconfig"] == "[secret]"
    assert laptop.calls() == []
