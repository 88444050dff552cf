"""IAM documents of Karpenter, as pure functions.

What it may do follows Karpenter's own policies
(https://karpenter.sh/docs/reference/cloudformation/, read at commit 1d927085d of 2026-08-21), less the making of
instance profiles: one is made here, and EC2NodeClass names it.
"""

from collections.abc import Sequence
from typing import Any

from modelway.cluster.eks.iam import Document, Statement, allow, document

DESCRIBE = (
    *("ec2:DescribeCapacityReservations", "ec2:DescribeImages", "ec2:DescribeInstances", "ec2:DescribeInstanceStatus"),
    *("ec2:DescribeInstanceTypeOfferings", "ec2:DescribeInstanceTypes", "ec2:DescribeLaunchTemplates"),
    *("ec2:DescribePlacementGroups", "ec2:DescribeSecurityGroups", "ec2:DescribeSpotPriceHistory"),
    "ec2:DescribeSubnets",
)


def controller(
    cluster: str, region: str, account: str, node_role_arn: str, profile_arn: str, queue_arn: str
) -> Document:
    """What the controller may do: nodes of this cluster only, known by their tags."""
    return document(
        *_launching(cluster, region, account),
        *_tagging(cluster, region, account),
        allow(
            "PassNodeRole",
            ["iam:PassRole"],
            [node_role_arn],
            {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
        ),
        allow("ReadProfile", ["iam:GetInstanceProfile"], [profile_arn]),
        allow("ListProfiles", ["iam:ListInstanceProfiles"], ["*"]),
        allow("FindApi", ["eks:DescribeCluster"], [f"arn:aws:eks:{region}:{account}:cluster/{cluster}"]),
        allow("HearInterruptions", ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"], [queue_arn]),
        allow("ReadOffers", DESCRIBE, ["*"], {"StringEquals": {"aws:RequestedRegion": region}}),
        allow("ReadImages", ["ssm:GetParameter"], [f"arn:aws:ssm:{region}::parameter/aws/service/*"]),
        allow("ReadPrices", ["pricing:GetProducts"], ["*"]),
    )


def _arns(region: str, account: str, kinds: Sequence[str]) -> list[str]:
    return [f"arn:aws:ec2:{region}:{account}:{kind}/*" for kind in kinds]


def _requested(cluster: str) -> dict[str, Any]:
    return {
        "StringEquals": {
            f"aws:RequestTag/kubernetes.io/cluster/{cluster}": "owned",
            "aws:RequestTag/eks:eks-cluster-name": cluster,
        },
        "StringLike": {"aws:RequestTag/karpenter.sh/nodepool": "*"},
    }


def _owned(cluster: str) -> dict[str, Any]:
    return {
        "StringEquals": {f"aws:ResourceTag/kubernetes.io/cluster/{cluster}": "owned"},
        "StringLike": {"aws:ResourceTag/karpenter.sh/nodepool": "*"},
    }


MADE = ("fleet", "instance", "volume", "network-interface", "launch-template", "spot-instances-request")
USED = ("security-group", "subnet", "capacity-reservation", "placement-group")


def _launching(cluster: str, region: str, account: str) -> list[Statement]:
    launch = ["ec2:RunInstances", "ec2:CreateFleet"]
    public = [f"arn:aws:ec2:{region}::image/*", f"arn:aws:ec2:{region}::snapshot/*"]
    templates = _arns(region, account, ["launch-template"])
    return [
        allow("UseToLaunch", launch, [*public, *_arns(region, account, USED)]),
        allow("UseOwnTemplates", launch, templates, _owned(cluster)),
        allow(
            "Launch",
            [*launch, "ec2:CreateLaunchTemplate"],
            _arns(region, account, MADE),
            _requested(cluster),
        ),
        allow(
            "DeleteOwn",
            ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
            [*_arns(region, account, ["instance"]), *templates],
            _owned(cluster),
        ),
    ]


def _tagging(cluster: str, region: str, account: str) -> list[Statement]:
    creating = _requested(cluster)
    creating["StringEquals"]["ec2:CreateAction"] = ["RunInstances", "CreateFleet", "CreateLaunchTemplate"]
    later = {
        **_owned(cluster),
        "StringEqualsIfExists": {"aws:RequestTag/eks:eks-cluster-name": cluster},
        "ForAllValues:StringEquals": {"aws:TagKeys": ["eks:eks-cluster-name", "karpenter.sh/nodeclaim", "Name"]},
    }
    return [
        allow("TagWhenCreating", ["ec2:CreateTags"], _arns(region, account, MADE), creating),
        allow("TagOwn", ["ec2:CreateTags"], _arns(region, account, ["instance"]), later),
    ]


def interruption_queue(queue_arn: str, rule_arns: Sequence[str]) -> Document:
    """Policy of the queue: these rules may send, and nobody without TLS does anything."""
    return document(
        {
            "Sid": "RulesSend",
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": list(rule_arns)}},
        },
        {
            "Sid": "OnlyTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sqs:*",
            "Resource": queue_arn,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    )
