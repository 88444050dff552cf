"""What the AWS components register, in preview and in up; ids and ARNs are Terraform references."""

import warnings
from collections.abc import Callable
from typing import Any

from pulumi.runtime import mocks

from tests.unit import cloud_testing
from tests.unit.cloud_testing import UNKNOWN, Recorded, Resource, snake, terraform_type

with warnings.catch_warnings(category=DeprecationWarning, action="ignore"):
    # pulumi_aws 7.51.1 warns of its own modules when it is imported, and tests take warnings for errors.
    import pulumi_aws as aws
    from modelway.cluster.eks import EksCluster, node_pools
    from modelway.logging.aws import CloudWatchLogGroup
    from modelway.monitoring.aws import AmazonMonitoring
    from modelway.registry.ecr import EcrRegistry

    for _part in (aws.amp, aws.cloudwatch, aws.ec2, aws.ecr, aws.eks, aws.iam, aws.kms, aws.sns, aws.sqs, aws.vpc):
        dir(_part)

__all__ = [
    "UNKNOWN",
    "AmazonMonitoring",
    "CloudWatchLogGroup",
    "EcrRegistry",
    "EksCluster",
    "Recorded",
    "Resource",
    "aws",
    "node_pools",
    "snake",
    "terraform_type",
]

ACCOUNT = "111122223333"
DEPLOYER = f"arn:aws:iam::{ACCOUNT}:role/deployer"
PUSHER = f"arn:aws:iam::{ACCOUNT}:role/ci-up"

PRODUCTION: dict[str, Any] = {
    "region": "eu-west-1",
    "deployer_role_arn": DEPLOYER,
    "kubernetes_version": "1.35",
    "production": True,
    "api_access": {"vpc": True},
    "network": {"zones": ["eu-west-1a", "eu-west-1b", "eu-west-1c"]},
    "node_pools": [
        {"name": "base", "instance_types": ["m7i.large", "m7a.large"], "min_size": 2, "max_size": 6},
        {
            "name": "gpu",
            "instance_types": ["g6.xlarge"],
            "min_size": 0,
            "max_size": 4,
            "spot": True,
            "os": "bottlerocket",
            "disk_gb": 100,
            "labels": {"modelway.dev/gpu": "l4"},
            "taints": ["team=vision:NoExecute"],
        },
    ],
    "dns_zone_ids": ["Z0123456789ABC"],
}
REGISTRY: dict[str, Any] = {
    "region": "eu-west-1",
    "repositories": ["breast-cancer", "model-server"],
    "pull_role_arns": [f"arn:aws:iam::{ACCOUNT}:role/node"],
    "push_role_arn": PUSHER,
    "production": True,
}

MONITORING: dict[str, Any] = {
    "region": "eu-west-1",
    "deployer_role_arn": DEPLOYER,
    "cluster_name": "cluster",
    "kubernetes_version": "1.35",
    "production": True,
    "slos": [
        {"model": "iris", "version": "v1", "split_position": 0},
        {"model": "iris", "version": "v2", "latency_percent": 99, "latency_below_seconds": 0.1, "may_be_absent": True},
    ],
    "page_emails": ["oncall@example.com"],
    "page_url": "https://events.example/integration",
    "ticket_emails": ["team@example.com", "lead@example.com"],
}

RUNNING: dict[str, str] = {"elsewhere": "1.33"}
"""Clusters of the region with their versions."""
LOGGING: dict[str, Any] = {
    "region": "eu-west-1",
    "deployer_role_arn": DEPLOYER,
    "cluster_name": "cluster",
    "log_group": "/modelway/cluster",
    "production": True,
}

COMPUTED = {
    "aws:amp/workspace:Workspace": ("arn", "prometheusEndpoint"),
    "aws:sns/topic:Topic": ("arn",),
    "aws:kms/key:Key": ("arn", "keyId"),
    "aws:iam/role:Role": ("arn", "name"),
    "aws:iam/instanceProfile:InstanceProfile": ("arn", "name"),
    "aws:cloudwatch/logGroup:LogGroup": ("arn",),
    "aws:cloudwatch/eventRule:EventRule": ("arn", "name"),
    "aws:sqs/queue:Queue": ("arn", "url"),
    "aws:eks/cluster:Cluster": ("arn", "endpoint"),
    "aws:ec2/launchTemplate:LaunchTemplate": (),
    "aws:ecr/repository:Repository": ("arn",),
}
"""Outputs that exist only after a creation."""


def _call(args: mocks.MockCallArgs) -> tuple[str, dict[str, Any]]:
    if args.token == "aws:eks/getClusters:getClusters":
        return f"{args.token}({args.args['region']})", {"names": sorted(RUNNING), "id": "x"}
    if args.token == "aws:eks/getCluster:getCluster":
        return f"{args.token}({args.args['name']})", {"version": RUNNING[args.args["name"]], "id": "x"}
    if args.token != "aws:eks/getAddonVersion:getAddonVersion":
        raise AssertionError(f"unexpected call {args.token}")
    name = args.args["addonName"]
    return f"{args.token}({name})", {**args.args, "version": f"v1-{name}", "id": "x"}


CLOUD = cloud_testing.Cloud(
    COMPUTED,
    {
        "aws:eks/cluster:Cluster": {"certificateAuthority": {"data": "Q0E="}},
        "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 1},
    },
    _call,
)


def record(program: Callable[[], object], preview: bool = False) -> Recorded:
    """What a program registers."""
    return cloud_testing.record(CLOUD, program, preview)


def without(*keys: str, **changes: Any) -> dict[str, Any]:
    """The production cluster's arguments, less `keys`, with changes."""
    return {**{key: value for key, value in PRODUCTION.items() if key not in keys}, **changes}


def cluster(args: dict[str, Any] = PRODUCTION, preview: bool = False, name: str = "cluster") -> Recorded:
    """What a cluster registers."""
    return record(lambda: EksCluster(name, args), preview)  # type: ignore[arg-type]


def registry(args: dict[str, Any] = REGISTRY, preview: bool = False) -> Recorded:
    """What a registry registers."""
    return record(lambda: EcrRegistry("registry", args), preview)  # type: ignore[arg-type]


def monitoring(args: dict[str, Any] = MONITORING, preview: bool = False) -> Recorded:
    """What the monitoring of a cluster registers."""
    return record(lambda: AmazonMonitoring("watch", args), preview)  # type: ignore[arg-type]


def logging(args: dict[str, Any] = LOGGING, preview: bool = False) -> Recorded:
    """What the log group of a cluster registers."""
    return record(lambda: CloudWatchLogGroup("logs", args), preview)  # type: ignore[arg-type]
