"""What other choices than production's register."""

from typing import Any

import pytest
from modelway.cluster import addresses
from modelway.cluster.eks import cidrs

from tests.unit import aws_testing
from tests.unit.aws_testing import Recorded, node_pools, without

ZONES = ["eu-west-1a", "eu-west-1b"]


def kinds(recorded: Recorded) -> set[str]:
    return {resource.typ.rpartition(":")[2] for resource in recorded.resources}


def own(**changes: Any) -> Recorded:
    return aws_testing.cluster(without(network={"zones": ZONES, **changes}))


def test_one_nat_gateway_serves_all_zones() -> None:
    recorded = own(nat="one")
    assert recorded.names("aws:ec2/natGateway:NatGateway") == ["cluster-nat-a"]
    ways = {
        resource.name: resource.inputs.get("natGatewayId")
        for resource in recorded.typed("aws:ec2/route:Route")
        if resource.name != "cluster-public-route"
    }
    assert ways == dict.fromkeys(
        ["cluster-private-a-route", "cluster-private-b-route"], "${aws_nat_gateway.cluster-nat-a.id}"
    )


def test_a_gateway_stands_in_the_public_subnet_of_its_zone_behind_the_way_out() -> None:
    recorded = own()
    for letter in "ab":
        assert recorded.inputs(f"cluster-nat-{letter}")["subnetId"] == f"${{aws_subnet.cluster-public-{letter}.id}}"
        assert "cluster-public-route" in recorded.options[f"cluster-nat-{letter}"]["depends_on"]


@pytest.mark.parametrize("preview", [False, True])
def test_an_existing_network_is_used_and_not_touched(preview: bool) -> None:
    subnets = ["subnet-1", "subnet-2"]
    args = without(network={"vpc_id": "vpc-1", "private_subnet_ids": subnets, "service_cidr": "172.16.0.0/20"})
    recorded = aws_testing.cluster(args, preview)
    assert {resource.typ for resource in recorded.resources if resource.typ.startswith("aws:ec2")} == {
        "aws:ec2/launchTemplate:LaunchTemplate"
    }
    assert recorded.inputs("cluster-control-plane")["vpcConfig"]["subnetIds"] == subnets
    assert recorded.inputs("cluster-control-plane")["kubernetesNetworkConfig"] == {"serviceIpv4Cidr": "172.16.0.0/20"}
    assert recorded.inputs("cluster-pool-base")["subnetIds"] == subnets
    policy = recorded.inputs("cluster-logs-key")["policy"]
    assert "log-group:/aws/eks/cluster/cluster" in policy
    assert "flow-logs" not in policy


def test_endpoints_are_those_that_were_asked_for() -> None:
    assert own(interface_endpoints=["kms", "eks-auth"]).names("aws:ec2/vpcEndpoint:VpcEndpoint") == [
        "cluster-endpoint-eks-auth",
        "cluster-endpoint-kms",
        "cluster-endpoint-s3",
    ]
    none = own(interface_endpoints=[])
    assert none.names("aws:ec2/vpcEndpoint:VpcEndpoint") == ["cluster-endpoint-s3"]
    assert "SecurityGroup" not in kinds(none)


def test_a_third_zone_moves_no_subnet_of_the_first_two() -> None:
    three = cidrs.plan("10.8.0.0/20", [*ZONES, "eu-west-1c"])
    assert three[:2] == cidrs.plan("10.8.0.0/20", ZONES)
    assert three[2] == ("eu-west-1c", "10.8.8.0/22", "10.8.14.0/24")
    networks = [
        (part, network) for zone in three for part in zone[1:] if isinstance(network := addresses.parse(part), object)
    ]
    assert addresses.overlaps([(name, network) for name, network in networks if not isinstance(network, str)]) == []


@pytest.mark.parametrize("preview", [False, True])
def test_auto_mode_leaves_nodes_and_plugins_to_aws(preview: bool) -> None:
    recorded = aws_testing.cluster(without("node_pools", auto_mode=True), preview)
    cluster = recorded.inputs("cluster-control-plane")
    role = aws_testing.UNKNOWN if preview else "${aws_iam_role.cluster-auto-node-role.arn}"
    assert cluster["computeConfig"] == {
        "enabled": True,
        "nodePools": ["general-purpose", "system"],
        "nodeRoleArn": role,
    }
    assert cluster["storageConfig"] == {"blockStorage": {"enabled": True}}
    assert cluster["kubernetesNetworkConfig"] == {
        "serviceIpv4Cidr": "172.20.0.0/16",
        "elasticLoadBalancing": {"enabled": True},
    }
    assert cluster["bootstrapSelfManagedAddons"] is False
    assert recorded.names("aws:eks/addon:Addon") == ["cluster-addon-metrics-server"]
    assert kinds(recorded).isdisjoint({"NodeGroup", "LaunchTemplate", "Queue", "InstanceProfile"})
    assert recorded.names("aws:eks/podIdentityAssociation:PodIdentityAssociation") == [
        "cluster-cert-manager-identity",
        "cluster-external-dns-identity",
    ]
    assert recorded.names("aws:iam/rolePolicyAttachment:RolePolicyAttachment") == [
        "cluster-auto-node-AmazonEC2ContainerRegistryPullOnly",
        "cluster-auto-node-AmazonEKSWorkerNodeMinimalPolicy",
        *(
            f"cluster-control-plane-AmazonEKS{name}Policy"
            for name in ("BlockStorage", "Cluster", "Compute", "LoadBalancing", "Networking")
        ),
    ]
    before = recorded.options["cluster-control-plane"]["depends_on"]
    assert {"cluster-auto-node-AmazonEKSWorkerNodeMinimalPolicy", "cluster-control-plane-AmazonEKSComputePolicy"} <= {
        *before
    }


def test_the_hardening_of_the_control_plane_is_the_same_in_auto_mode() -> None:
    plain = aws_testing.cluster().inputs("cluster-control-plane")
    auto = aws_testing.cluster(without("node_pools", auto_mode=True)).inputs("cluster-control-plane")
    assert {key: auto[key] for key in plain if key != "kubernetesNetworkConfig"} == {
        key: value for key, value in plain.items() if key != "kubernetesNetworkConfig"
    }


def test_without_karpenter_there_is_no_queue_and_one_node_role() -> None:
    recorded = aws_testing.cluster(without(karpenter=False))
    assert kinds(recorded).isdisjoint({"Queue", "QueuePolicy", "EventRule", "EventTarget", "InstanceProfile"})
    assert recorded.names("aws:eks/accessEntry:AccessEntry") == ["cluster-deployer"]


def test_without_zones_of_dns_nobody_may_write_any() -> None:
    recorded = aws_testing.cluster(without("dns_zone_ids"))
    assert not [resource.name for resource in recorded.resources if "cert-manager" in resource.name]
    assert not [resource.name for resource in recorded.resources if "route53" in str(resource.inputs)]


def test_the_name_in_aws_may_differ_from_the_components() -> None:
    recorded = aws_testing.cluster(without(name="Models_EU"))
    assert recorded.inputs("cluster-control-plane")["name"] == "Models_EU"
    assert recorded.inputs("cluster-logs")["name"] == "/aws/eks/Models_EU/cluster"
    assert recorded.inputs("cluster-kubernetes")["clusterIdentifier"].endswith(":cluster/Models_EU")
    assert recorded.inputs("cluster-interruptions")["name"] == "Models_EU-karpenter"


@pytest.mark.parametrize(
    ("os", "instance_type", "image"),
    [
        ("al2023", "m7i.large", "AL2023_x86_64_STANDARD"),
        ("al2023", "m8g.large", "AL2023_ARM_64_STANDARD"),
        ("al2023", "g6.xlarge", "AL2023_x86_64_NVIDIA"),
        ("al2023", "g5g.xlarge", "AL2023_ARM_64_NVIDIA"),
        ("bottlerocket", "m7i.large", "BOTTLEROCKET_x86_64"),
        ("bottlerocket", "m8g.large", "BOTTLEROCKET_ARM_64"),
        ("bottlerocket", "p5.48xlarge", "BOTTLEROCKET_x86_64_NVIDIA"),
        ("bottlerocket", "g5g.xlarge", "BOTTLEROCKET_ARM_64_NVIDIA"),
    ],
)
def test_the_image_follows_system_architecture_and_gpu(os: str, instance_type: str, image: str) -> None:
    pool: Any = {"name": "x", "os": os, "instance_types": [instance_type], "min_size": 1, "max_size": 1}
    assert node_pools.ami_type(pool) == image
    assert node_pools.taints(pool) == (["nvidia.com/gpu=true:NoSchedule"] if image.endswith("NVIDIA") else [])


def test_a_gpu_taint_that_was_asked_for_is_there_once() -> None:
    gpu = "nvidia.com/gpu=true:NoSchedule"
    pool: Any = {"name": "x", "instance_types": ["g6.xlarge"], "min_size": 0, "max_size": 1, "taints": [gpu]}
    assert node_pools.taints(pool) == [gpu]


def test_no_node_can_be_logged_into() -> None:
    recorded = aws_testing.cluster()
    keys = {key for resource in recorded.typed("aws:eks/nodeGroup:NodeGroup") for key in resource.inputs}
    keys |= {key for resource in recorded.typed("aws:ec2/launchTemplate:LaunchTemplate") for key in resource.inputs}
    assert keys.isdisjoint({"remoteAccess", "keyName", "userData", "networkInterfaces"})
    assert "AmazonSSM" not in str([resource.inputs for resource in recorded.resources])
