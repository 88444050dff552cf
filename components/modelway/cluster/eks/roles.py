"""IAM roles of a cluster and its Pod Identity associations."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from modelway.cluster.eks import iam
from modelway.cluster.eks.site import Site


@dataclass(frozen=True)
class Role:
    """A role with what it may do; whoever uses it waits for both."""

    arn: pulumi.Output[str]
    name: pulumi.Output[str]
    grants: list[pulumi.Resource]


def make_role(
    site: Site,
    role: str,
    trust: iam.Document,
    managed: Sequence[str] = (),
    inline: pulumi.Input[str] | None = None,
) -> Role:
    """A role with AWS's managed policies and a document of its own."""
    made = aws.iam.Role(
        f"{site.name}-{role}-role",
        assume_role_policy=json.dumps(trust),
        tags=site.tags(),
        opts=site.child(),
    )
    grants: list[pulumi.Resource] = [
        aws.iam.RolePolicyAttachment(
            f"{site.name}-{role}-{policy.rpartition('/')[2]}",
            role=made.name,
            policy_arn=f"{iam.MANAGED}/{policy}",
            opts=site.child(),
        )
        for policy in managed
    ]
    if inline is not None:
        grants.append(
            aws.iam.RolePolicy(f"{site.name}-{role}-policy", role=made.name, policy=inline, opts=site.child())
        )
    return Role(made.arn, made.name, grants)


def node_role(site: Site, role: str, managed: Sequence[str]) -> Role:
    """A role for nodes: joining the cluster and pulling images. Pods get roles of their own."""
    return make_role(site, role, iam.service_trust("ec2.amazonaws.com"), managed)


def pod_role(
    site: Site,
    role: str,
    subject: tuple[str, str],
    managed: Sequence[str] = (),
    inline: pulumi.Input[str] | None = None,
) -> Role:
    """A role for one service account, given as namespace and name."""
    return make_role(site, role, iam.pod_trust(site.cluster_arn, *subject), managed, inline)


def associate(
    site: Site,
    role: str,
    subject: tuple[str, str],
    held: Role,
    cluster_name: pulumi.Input[str],
    tag: str = "",
    deleted_with: pulumi.Resource | None = None,
) -> pulumi.Resource:
    """Gives a service account its role; `tag` is what the console shows, `deleted_with` the cluster of this program."""
    namespace, service_account = subject
    return aws.eks.PodIdentityAssociation(
        f"{site.name}-{role}-identity",
        cluster_name=cluster_name,
        namespace=namespace,
        service_account=service_account,
        role_arn=held.arn,
        tags=site.tags(tag),
        opts=site.child(depends_on=held.grants, deleted_with=deleted_with),
    )


def controllers(
    site: Site, cluster: aws.eks.Cluster, documents: Mapping[str, tuple[tuple[str, str], pulumi.Input[str]]]
) -> list[pulumi.Resource]:
    """Identities of controllers that are installed later, by role: subject and document."""
    return [
        associate(site, role, subject, pod_role(site, role, subject, inline=policy), cluster.name, deleted_with=cluster)
        for role, (subject, policy) in documents.items()
    ]
