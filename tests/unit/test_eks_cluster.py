"""What `EksCluster` registers for production, in preview and in up, and what it gives out."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from modelway.cluster.eks.kubeconfig import eks_kubeconfig
from pulumi.provider.experimental.component import ComponentProvider

from tests.unit import aws_checks, aws_options, aws_testing
from tests.unit.aws_testing import UNKNOWN, EcrRegistry, EksCluster, Recorded
from tests.unit.schemas import undescribed


@pytest.fixture(scope="module")
def production() -> Recorded:
    return aws_testing.cluster()


@pytest.fixture(scope="module")
def preview() -> Recorded:
    return aws_testing.cluster(preview=True)


@pytest.mark.parametrize("check", [*aws_checks.CLUSTER_CHECKS, *aws_options.CLUSTER_CHECKS], ids=lambda f: f.__name__)
def test_production_registers_exactly_this(production: Recorded, check: Callable[[Recorded], None]) -> None:
    check(production)


def test_production_is_these_resources_and_no_other(production: Recorded) -> None:
    counted = {kind.rpartition(":")[2]: count for kind, count in production.counts().items()}
    network = {"Vpc": 1, "Subnet": 6, "Eip": 3, "NatGateway": 3, "InternetGateway": 1, "Route": 4, "RouteTable": 4}
    network |= {"RouteTableAssociation": 6, "VpcEndpoint": 4, "SecurityGroup": 1, "DefaultSecurityGroup": 1}
    network |= {"SecurityGroupIngressRule": 1, "FlowLog": 1, "LogGroup": 2}
    access = {"AccessEntry": 2, "AccessPolicyAssociation": 1, "PodIdentityAssociation": 4, "InstanceProfile": 1}
    access |= {"Role": 10, "RolePolicy": 6, "RolePolicyAttachment": 7, "Key": 2, "Alias": 2}
    compute = {"EksCluster": 1, "kubernetes": 1, "Cluster": 1, "NodeGroup": 2, "LaunchTemplate": 2, "Addon": 6}
    assert counted == network | access | compute | {"Queue": 1, "QueuePolicy": 1, "EventRule": 5, "EventTarget": 5}


def test_a_preview_registers_the_same_with_unknowns_only_where_aws_decides(
    production: Recorded, preview: Recorded
) -> None:
    assert preview.urns == production.urns
    known = {resource.name: resource.inputs for resource in preview.resources}

    def compare(path: str, up: Any, before: Any) -> None:
        if before == UNKNOWN:
            # An id, an ARN or a computed version: nothing that this program chose.
            assert "${" in json.dumps(up) or path.endswith("launchTemplate.version"), path
        elif isinstance(up, dict):
            assert up.keys() == before.keys(), path
            for key, value in up.items():
                compare(f"{path}.{key}", value, before[key])
        elif isinstance(up, list):
            assert len(up) == len(before), path
            for index, value in enumerate(up):
                compare(f"{path}[{index}]", value, before[index])
        else:
            assert up == before, path

    for resource in production.resources:
        if resource.name != "cluster-kubernetes":
            compare(resource.name, resource.inputs, known[resource.name])
    assert known["cluster-kubernetes"]["clusterIdentifier"] == aws_checks.CLUSTER_ARN


def test_addon_versions_are_asked_in_preview_too_unless_pinned(preview: Recorded) -> None:
    asked = "aws:eks/getAddonVersion:getAddonVersion"
    names = ("eks-pod-identity-agent", "kube-proxy", "vpc-cni", "coredns", "aws-ebs-csi-driver", "metrics-server")
    clusters = "aws:eks/getClusters:getClusters(eu-west-1)"
    assert preview.calls == sorted([clusters, *(f"{asked}({name})" for name in names)])
    pinned = aws_testing.cluster(aws_testing.without(addon_versions=dict.fromkeys(names, "v1.2.3-eksbuild.4")))
    assert pinned.calls == [clusters]
    versions = {resource.inputs["addonVersion"] for resource in pinned.typed("aws:eks/addon:Addon")}
    assert versions == {"v1.2.3-eksbuild.4"}


def outputs(args: dict[str, Any], preview: bool = False) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    def program() -> None:
        made = EksCluster("cluster", args)  # type: ignore[arg-type]
        for name in ("name", "kubeconfig", "endpoint", "capabilities", "vpc_id", "node_role_arns"):
            getattr(made, name).apply(lambda value, key=name: seen.update({key: value}))
        seen["karpenter"] = made.karpenter
        seen["provider"] = made.provider

    aws_testing.record(program, preview)
    return seen


def test_outputs_are_those_of_every_cluster() -> None:
    seen = outputs(aws_testing.PRODUCTION)
    assert seen["name"] == "cluster"
    assert seen["endpoint"] == "${aws_eks_cluster.cluster-control-plane.endpoint}"
    assert seen["vpc_id"] == "${aws_vpc.cluster-vpc.id}"
    assert seen["node_role_arns"] == [
        "${aws_iam_role.cluster-node-role.arn}",
        "${aws_iam_role.cluster-karpenter-node-role.arn}",
    ]
    assert seen["capabilities"] == {
        "load_balancer": "aws-load-balancer-controller",
        "volumes": "ebs.csi.aws.com",
        "gpu_pools": ["gpu"],
        "identity": "eks-pod-identity",
        "identity_endpoint": "169.254.170.23:80",
    }
    assert seen["karpenter"].queue == "cluster-karpenter"
    assert isinstance(seen["provider"], pulumi.ProviderResource)
    assert seen["kubeconfig"] == eks_kubeconfig("cluster", "eu-west-1", seen["endpoint"], "Q0E=")


def test_the_kubeconfig_asks_for_a_token_and_holds_none() -> None:
    document = json.loads(eks_kubeconfig("models", "eu-west-1", "https://x.eks.example", "Q0E="))
    (user,) = document["users"]
    assert user == {
        "name": "models",
        "user": {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1beta1",
                "command": "aws",
                "args": ["--region", "eu-west-1", "eks", "get-token", "--cluster-name", "models", "--output", "json"],
                "installHint": "install the AWS CLI (https://docs.aws.amazon.com/cli/latest/userguide/"
                "getting-started-install.html)",
                "interactiveMode": "Never",
                "provideClusterInfo": False,
            }
        },
    }
    assert document["clusters"] == [
        {
            "name": "models",
            "cluster": {"server": "https://x.eks.example", "certificate-authority-data": "Q0E="},
        }
    ]
    assert document["contexts"] == [{"name": "models", "context": {"cluster": "models", "user": "models"}}]
    assert document["current-context"] == "models"


def test_a_minor_upgrade_changes_the_version_and_nothing_else(production: Recorded) -> None:
    """Nothing that AWS replaces a cluster, a pool or a key for changes with the version."""
    after = aws_testing.cluster(aws_testing.without(kubernetes_version="1.36"))
    changed = {
        (resource.name, key)
        for resource in after.resources
        for key, value in resource.inputs.items()
        if production.inputs(resource.name)[key] != value
    }
    assert changed == {
        ("cluster-control-plane", "version"),
        ("cluster-pool-base", "version"),
        ("cluster-pool-gpu", "version"),
    }
    assert after.urns == production.urns


def test_development_differs_by_protection_and_by_one_nat_gateway(production: Recorded) -> None:
    after = aws_testing.cluster(aws_testing.without(production=False))
    assert after.inputs("cluster-control-plane")["deletionProtection"] is False
    assert [name for name, options in after.options.items() if options["protect"]] == []
    assert set(production.urns) - set(after.urns) == {
        f"urn:pulumi:test::modelway::modelway:index:EksCluster$aws:ec2/{kind}::cluster-nat{name}-{letter}"
        for kind, name in (("eip:Eip", "-address"), ("natGateway:NatGateway", ""))
        for letter in "bc"
    }
    assert set(after.urns) < set(production.urns)


def test_tags_reach_every_resource_that_has_tags() -> None:
    after = aws_testing.cluster(aws_testing.without(tags={"team": "vision"}))
    tagged = [resource.inputs["tags"] for resource in after.resources if "tags" in resource.inputs]
    assert {tags["team"] for tags in tagged} == {"vision"}
    untagged = {
        resource.typ.rpartition(":")[2]
        for resource in after.resources
        if resource.typ.startswith("aws:") and "tags" not in resource.inputs
    }
    assert untagged == {
        *(
            "Alias",
            "Route",
            "RouteTableAssociation",
            "RolePolicy",
            "RolePolicyAttachment",
            "QueuePolicy",
            "EventTarget",
        ),
        "AccessPolicyAssociation",
    }


def test_extended_support_is_a_choice() -> None:
    after = aws_testing.cluster(aws_testing.without(extended_support=True))
    assert after.inputs("cluster-control-plane")["upgradePolicy"] == {"supportType": "EXTENDED"}


def test_public_access_is_for_the_named_addresses_beside_the_private_one() -> None:
    after = aws_testing.cluster(aws_testing.without(api_access={"cidrs": ["203.0.113.0/24", "8.8.8.8/32"]}))
    config = after.inputs("cluster-control-plane")["vpcConfig"]
    assert config["publicAccessCidrs"] == ["203.0.113.0/24", "8.8.8.8/32"]
    assert (config["endpointPublicAccess"], config["endpointPrivateAccess"]) == (True, True)


@pytest.mark.parametrize(
    "statement",
    [
        "import modelway",
        "import modelway.cluster.eks",
        "from modelway.cluster.eks import EksClusterArgs, EksNodePoolArgs",
    ]
    + [f"import modelway.cluster.eks.{name}" for name in ("iam", "kubeconfig", "tables", "validation")],
)
def test_the_aws_sdk_is_imported_only_with_the_component(statement: str) -> None:
    code = f"{statement}; import sys; assert not [name for name in sys.modules if name.startswith('pulumi_aws')]"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_property_of_the_schema_is_described() -> None:
    schema = json.loads(ComponentProvider([EksCluster, EcrRegistry], "modelway", version="0.0.0").schema)
    assert undescribed(schema) == []
    assert sorted(schema["resources"]) == ["modelway:index:EcrRegistry", "modelway:index:EksCluster"]
