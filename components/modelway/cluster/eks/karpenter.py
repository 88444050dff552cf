"""Karpenter's side in AWS: identity, node role, queue of interruptions. Its chart is installed elsewhere."""

import json
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from modelway.cluster.eks import iam_karpenter
from modelway.cluster.eks.node_pools import NODE_POLICIES
from modelway.cluster.eks.roles import Role, associate, node_role, pod_role
from modelway.cluster.eks.site import Site

SUBJECT = ("kube-system", "karpenter")
EVENTS = {
    "health": ("aws.health", "AWS Health Event"),
    "spot": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "state": ("aws.ec2", "EC2 Instance State-change Notification"),
    "capacity": ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning"),
}
"""What announces the end of a node."""


@dataclass(frozen=True)
class Karpenter:
    """What its chart and its EC2NodeClass are told."""

    queue: str
    """Name of the queue of interruptions."""
    instance_profile: pulumi.Output[str]
    """Instance profile of its nodes."""
    role: Role
    """Role of its nodes."""
    ready: list[pulumi.Resource]
    """What must be there as long as the controller runs."""


def queue_name(cluster: str) -> str:
    """Name of the queue, known before it exists."""
    return f"{cluster}-karpenter"


def create(site: Site, cluster: aws.eks.Cluster) -> Karpenter:
    """Everything that Karpenter needs of AWS."""
    role = node_role(site, "karpenter-node", NODE_POLICIES)
    profile = aws.iam.InstanceProfile(
        f"{site.name}-karpenter-node-profile", role=role.name, tags=site.tags(), opts=site.child()
    )
    # Managed node groups bring their entry; nodes of Karpenter need one.
    entry = aws.eks.AccessEntry(
        f"{site.name}-karpenter-nodes",
        cluster_name=cluster.name,
        principal_arn=role.arn,
        type="EC2_LINUX",
        tags=site.tags(),
        opts=site.child(deleted_with=cluster),
    )
    queue, wiring = _queue(site)
    document = pulumi.Output.all(role.arn, profile.arn, queue.arn).apply(
        lambda arns: iam_karpenter.controller(site.cluster, site.region, site.account, *arns)
    )
    controller = pod_role(site, "karpenter", SUBJECT, inline=pulumi.Output.json_dumps(document))
    identity = associate(site, "karpenter", SUBJECT, controller, cluster.name, deleted_with=cluster)
    ready = [*role.grants, profile, entry, *wiring, *controller.grants, identity]
    return Karpenter(queue_name(site.cluster), profile.name, role, ready)


def _queue(site: Site) -> tuple[aws.sqs.Queue, list[pulumi.Resource]]:
    queue = aws.sqs.Queue(
        f"{site.name}-interruptions",
        name=queue_name(site.cluster),
        message_retention_seconds=300,
        sqs_managed_sse_enabled=True,
        tags=site.tags("interruptions"),
        opts=site.child(),
    )
    rules = {
        event: aws.cloudwatch.EventRule(
            f"{site.name}-interruption-{event}",
            description=f"{detail}: the end of a node of {site.cluster}",
            event_pattern=json.dumps({"source": [source], "detail-type": [detail]}),
            tags=site.tags(),
            opts=site.child(),
        )
        for event, (source, detail) in EVENTS.items()
    }
    arns = pulumi.Output.all(queue.arn, *(rule.arn for rule in rules.values()))
    policy = aws.sqs.QueuePolicy(
        f"{site.name}-interruptions-policy",
        queue_url=queue.url,
        policy=pulumi.Output.json_dumps(arns.apply(lambda all_: iam_karpenter.interruption_queue(all_[0], all_[1:]))),
        opts=site.child(),
    )
    targets = [
        aws.cloudwatch.EventTarget(
            f"{site.name}-interruption-{event}-target",
            rule=rule.name,
            arn=queue.arn,
            target_id="karpenter",
            opts=site.child(depends_on=[policy]),
        )
        for event, rule in rules.items()
    ]
    return queue, [queue, policy, *targets]
