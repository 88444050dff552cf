"""What waits for what, and that every argument changes something."""

from typing import Any

import pytest
from modelway.cluster.gke import arguments

from tests.unit import gcp_testing
from tests.unit.cloud_testing import behind, chain
from tests.unit.gcp_testing import PRODUCTION, REGISTRY, ArtifactRegistry, GkeCluster, Recorded, autopilot, without
from tests.unit.test_gke_variants import EXISTING

CONTROL_PLANE = "cluster-control-plane"


@pytest.fixture(scope="module")
def stack() -> Recorded:
    def program() -> None:
        made = GkeCluster("cluster", PRODUCTION)  # type: ignore[arg-type]
        nodes = made.node_service_accounts
        ArtifactRegistry("registry", {**REGISTRY, "pull_service_accounts": nodes})  # type: ignore[typeddict-item]

    return gcp_testing.record(program)


def test_only_what_lives_in_the_cluster_waits_for_the_control_plane(stack: Recorded) -> None:
    waiting = {
        resource.typ.rpartition(":")[2] for resource in stack.resources if CONTROL_PLANE in behind(stack, resource.name)
    }
    assert waiting == {"NodePool", "kubernetes"}


def test_way_out_firewall_and_registry_are_made_beside_it(stack: Recorded) -> None:
    beside = {resource.name for resource in stack.resources} - behind(stack, CONTROL_PLANE)
    assert {"cluster-nat", "cluster-deny-ingress", "registry-repository", "registry-nodes-pull"} <= beside


def test_the_critical_path_is_as_short_as_gke_allows(stack: Recorded) -> None:
    """Service, ring or agent, key, its user, control plane, a pool, and then Kubernetes objects."""
    path = chain(stack, "cluster-kubernetes")
    print(" -> ".join(path))
    assert path.index(CONTROL_PLANE) == 4
    assert path[5].startswith("cluster-pool-")
    assert path[6:] == ["cluster-kubernetes"]


def test_a_destroy_takes_nodes_and_way_out_only_after_all_kubernetes_objects(stack: Recorded) -> None:
    """What a controller needs to delete its load balancers and volumes goes after the provider of every object."""
    needed = behind(stack, "cluster-kubernetes")
    kept = {
        resource.name
        for resource in stack.resources
        if resource.typ.startswith("gcp:") and resource.name.startswith("cluster-") and resource.name not in needed
    }
    assert kept == {"cluster-deny-ingress"}


POOL: dict[str, Any] = PRODUCTION["node_pools"][0]
CLUSTER_CHANGES: dict[str, dict[str, Any]] = {
    "project": {"project": "other-project"},
    "region": {"region": "us-central1", "zones": ["us-central1-a", "us-central1-b"], "node_pools": [POOL]},
    "kubernetes_version": {"kubernetes_version": "1.36"},
    "production": {"production": False},
    "zones": {"zones": ["europe-west4-a", "europe-west4-b"]},
    "api_access": {"api_access": {"dns": True}},
    "network": {"network": {"nodes_cidr": "10.9.0.0/20"}},
    "name": {"name": "other"},
    "node_pools": {"node_pools": [POOL]},
    "release_channel": {"release_channel": "STABLE"},
    "maintenance_window": {"maintenance_window": {"hours": 6}},
    "binary_authorization": {"binary_authorization": False},
    "security_group": {"security_group": "gke-security-groups@example.org"},
    "labels": {"labels": {"team": "vision"}},
}
ACCESS_CHANGES: dict[str, dict[str, Any]] = {
    "dns": {"dns": True},
    "vpc": {"vpc": True},
    "cidrs": {"cidrs": ["203.0.113.7/32"]},
}
NETWORK_CHANGES = {"nodes_cidr": "10.9.0.0/20", "pods_cidr": "10.16.0.0/14", "services_cidr": "10.9.0.0/20"}
EXISTING_CHANGES = {
    "network_id": "projects/host/global/networks/other",
    "subnet_id": "projects/host/regions/europe-west4/subnetworks/other",
    "pods_range": "other",
    "services_range": "other",
}
WINDOW_CHANGES: dict[str, Any] = {"days": ["MO", "FR"], "start_hour_utc": 3, "hours": 6}
POOL_CHANGES: dict[str, dict[str, Any]] = {
    "name": {"name": "other"},
    "machine_type": {"machine_type": "n4-standard-8"},
    "min_size": {"min_size": 1},
    "max_size": {"max_size": 9},
    "spot": {"spot": True},
    "zones": {"zones": ["europe-west4-b"]},
    "disk_gb": {"disk_gb": 80},
    "sandbox": {"sandbox": True},
    "labels": {"labels": {"a": "b"}},
    "taints": {"taints": ["a=b:NoSchedule"]},
}


def shape(args: dict[str, Any]) -> Any:
    seen: list[Any] = []

    def program() -> None:
        made = GkeCluster("cluster", args)  # type: ignore[arg-type]
        # The network itself is given out, to whatever is installed behind a load balancer.
        made.network_id.apply(seen.append)

    recorded = gcp_testing.record(program)
    return [(item.name, item.inputs) for item in recorded.resources], recorded.options, seen


@pytest.fixture(scope="module")
def production() -> Any:
    return shape(PRODUCTION)


def test_every_argument_is_tried() -> None:
    assert {*CLUSTER_CHANGES, "autopilot"} == arguments.GkeClusterArgs.__annotations__.keys()
    assert ACCESS_CHANGES.keys() == arguments.GkeApiAccessArgs.__annotations__.keys()
    assert {*NETWORK_CHANGES, *EXISTING_CHANGES} == arguments.GkeNetworkArgs.__annotations__.keys()
    assert WINDOW_CHANGES.keys() == arguments.MaintenanceWindowArgs.__annotations__.keys()
    assert POOL_CHANGES.keys() == arguments.GkeNodePoolArgs.__annotations__.keys()


@pytest.mark.parametrize("key", CLUSTER_CHANGES)
def test_every_argument_of_the_cluster_acts(key: str, production: Any) -> None:
    assert shape(without(**CLUSTER_CHANGES[key])) != production


def test_autopilot_acts(production: Any) -> None:
    assert shape(autopilot()) != production


def test_every_way_to_the_api_is_another() -> None:
    shapes = [shape(without(api_access=access)) for access in ACCESS_CHANGES.values()]
    assert all(one not in shapes[index + 1 :] for index, one in enumerate(shapes))


@pytest.mark.parametrize("key", NETWORK_CHANGES)
def test_every_argument_of_a_new_network_acts(key: str, production: Any) -> None:
    assert shape(without(network={key: NETWORK_CHANGES[key]})) != production


@pytest.mark.parametrize("key", EXISTING_CHANGES)
def test_every_argument_of_an_existing_network_acts(key: str) -> None:
    assert shape(without(network={**EXISTING, key: EXISTING_CHANGES[key]})) != shape(without(network=EXISTING))


@pytest.mark.parametrize("key", WINDOW_CHANGES)
def test_every_argument_of_the_maintenance_window_acts(key: str, production: Any) -> None:
    assert shape(without(maintenance_window={key: WINDOW_CHANGES[key]})) != production


@pytest.mark.parametrize("key", POOL_CHANGES)
def test_every_argument_of_a_pool_acts(key: str) -> None:
    base = {**POOL, "name": "first"}
    changed = {**POOL, **POOL_CHANGES[key]}
    assert shape(without(node_pools=[base, changed])) != shape(without(node_pools=[base, POOL]))
