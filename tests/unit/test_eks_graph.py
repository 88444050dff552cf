"""What waits for what, and that every argument changes something."""

from typing import Any

import pytest
from modelway.cluster.eks import arguments

from tests.unit import aws_testing
from tests.unit.aws_testing import PRODUCTION, PUSHER, REGISTRY, EcrRegistry, EksCluster, Recorded, without
from tests.unit.cloud_testing import behind, chain

CONTROL_PLANE = "cluster-control-plane"


@pytest.fixture(scope="module")
def stack() -> Recorded:
    def program() -> None:
        made = EksCluster("cluster", PRODUCTION)  # type: ignore[arg-type]
        EcrRegistry("registry", {**REGISTRY, "pull_role_arns": made.node_role_arns})  # type: ignore[typeddict-item]

    return aws_testing.record(program)


def test_only_what_lives_in_the_cluster_waits_for_the_control_plane(stack: Recorded) -> None:
    waiting = {
        resource.typ.rpartition(":")[2] for resource in stack.resources if CONTROL_PLANE in behind(stack, resource.name)
    }
    assert waiting == {
        *("AccessEntry", "AccessPolicyAssociation", "Addon", "NodeGroup", "PodIdentityAssociation"),
        "kubernetes",
    }


def test_network_ways_out_keys_roles_queue_and_registry_are_made_beside_it(stack: Recorded) -> None:
    needed = behind(stack, CONTROL_PLANE)
    beside = {resource.name for resource in stack.resources} - needed
    assert {"cluster-nat-a", "cluster-endpoint-sts", "cluster-karpenter-role", "cluster-interruptions"} <= beside
    assert {"cluster-flow-log", "cluster-pool-gpu-template", "registry-model-server-policy"} <= beside
    assert {"cluster-private-a", "cluster-secrets-key", "cluster-logs", "cluster-control-plane-role"} <= needed


def test_the_critical_path_is_as_short_as_eks_allows(stack: Recorded) -> None:
    """VPC, subnet, control plane, agent, network plugin, nodes, an add-on on them, and then Kubernetes objects."""
    path = chain(stack, "cluster-kubernetes")
    print(" -> ".join(path))
    assert path.index(CONTROL_PLANE) <= 4
    assert path[path.index(CONTROL_PLANE) :] == [
        CONTROL_PLANE,
        "cluster-addon-eks-pod-identity-agent",
        "cluster-addon-vpc-cni",
        "cluster-pool-base",
        path[-2],
        "cluster-kubernetes",
    ]
    assert path[-2].startswith("cluster-addon-")


def test_a_destroy_takes_nodes_and_ways_out_only_after_all_kubernetes_objects(stack: Recorded) -> None:
    """What a controller needs to delete its load balancers and volumes goes after the provider of every object."""
    needed = behind(stack, "cluster-kubernetes")
    kept = {
        resource.name
        for resource in stack.resources
        if resource.typ.startswith("aws:") and resource.name.startswith("cluster-") and resource.name not in needed
    }
    assert kept == {
        *("cluster-default-security-group", "cluster-endpoints-https", "cluster-flow-log", "cluster-flow-logs"),
        *("cluster-flow-logs-policy", "cluster-flow-logs-role", "cluster-logs-key-alias", "cluster-secrets-key-alias"),
        *(f"cluster-public-{letter}-routes" for letter in "abc"),
    }


POOL: dict[str, Any] = PRODUCTION["node_pools"][0]
ZONES = ["eu-west-1a", "eu-west-1b"]
CLUSTER_CHANGES: dict[str, dict[str, Any]] = {
    "region": {"region": "us-east-1", "network": {"zones": ["us-east-1a", "us-east-1b"]}},
    "deployer_role_arn": {"deployer_role_arn": PUSHER},
    "kubernetes_version": {"kubernetes_version": "1.36"},
    "extended_support": {"extended_support": True},
    "production": {"production": False},
    "api_access": {"api_access": {"cidrs": ["203.0.113.7/32"]}},
    "network": {"network": {"zones": ZONES}},
    "name": {"name": "other"},
    "node_pools": {"node_pools": [POOL]},
    "auto_mode": {"auto_mode": True, "node_pools": []},
    "karpenter": {"karpenter": False},
    "addon_versions": {"addon_versions": {"coredns": "v1.14.0-eksbuild.1"}},
    "log_retention_days": {"log_retention_days": 30},
    "dns_zone_ids": {"dns_zone_ids": []},
    "tags": {"tags": {"team": "vision"}},
}
NETWORK_CHANGES: dict[str, dict[str, Any]] = {
    "zones": {"zones": ZONES},
    "cidr": {"cidr": "10.9.0.0/16"},
    "nat": {"nat": "one"},
    "interface_endpoints": {"interface_endpoints": []},
    "service_cidr": {"service_cidr": "172.16.0.0/20"},
}
EXISTING_CHANGES: dict[str, dict[str, Any]] = {
    "vpc_id": {"vpc_id": "vpc-2"},
    "private_subnet_ids": {"private_subnet_ids": ["subnet-3", "subnet-4"]},
}
POOL_CHANGES: dict[str, dict[str, Any]] = {
    "name": {"name": "other"},
    "instance_types": {"instance_types": ["m7i.xlarge"]},
    "min_size": {"min_size": 1},
    "max_size": {"max_size": 9},
    "spot": {"spot": True},
    "os": {"os": "bottlerocket"},
    "disk_gb": {"disk_gb": 80},
    "labels": {"labels": {"a": "b"}},
    "taints": {"taints": ["a=b:PreferNoSchedule"]},
}


EXISTING = {"vpc_id": "vpc-1", "private_subnet_ids": ["subnet-1", "subnet-2"]}


def shape(**changes: Any) -> Any:
    seen: list[str] = []

    def program() -> None:
        # The VPC itself is given out, to whatever is installed behind a load balancer.
        EksCluster("cluster", without(**changes)).vpc_id.apply(seen.append)  # type: ignore[arg-type]

    recorded = aws_testing.record(program)
    return [(item.name, item.inputs) for item in recorded.resources], recorded.options, seen


@pytest.fixture(scope="module")
def production() -> Any:
    return shape()


@pytest.fixture(scope="module")
def existing() -> Any:
    return shape(network=EXISTING)


@pytest.fixture(scope="module")
def one_pool() -> Any:
    return shape(node_pools=[POOL])


def test_every_argument_is_tried() -> None:
    assert CLUSTER_CHANGES.keys() == arguments.EksClusterArgs.__annotations__.keys()
    assert {**NETWORK_CHANGES, **EXISTING_CHANGES}.keys() == arguments.EksNetworkArgs.__annotations__.keys()
    assert POOL_CHANGES.keys() == arguments.EksNodePoolArgs.__annotations__.keys()


@pytest.mark.parametrize("key", CLUSTER_CHANGES)
def test_every_argument_of_the_cluster_acts(key: str, production: Any) -> None:
    assert shape(**CLUSTER_CHANGES[key]) != production


@pytest.mark.parametrize("key", NETWORK_CHANGES)
def test_every_argument_of_a_new_network_acts(key: str, production: Any) -> None:
    assert shape(network={**PRODUCTION["network"], **NETWORK_CHANGES[key]}) != production


@pytest.mark.parametrize("key", EXISTING_CHANGES)
def test_every_argument_of_an_existing_network_acts(key: str, existing: Any) -> None:
    assert shape(network={**EXISTING, **EXISTING_CHANGES[key]}) != existing


@pytest.mark.parametrize("key", POOL_CHANGES)
def test_every_argument_of_a_pool_acts(key: str, one_pool: Any) -> None:
    assert shape(node_pools=[{**POOL, **POOL_CHANGES[key]}]) != one_pool
