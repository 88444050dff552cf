"""EKS add-ons: what a cluster needs to run pods, each with its own identity."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

from modelway.cluster.eks.addons_names import AUTO_MODE
from modelway.cluster.eks.roles import Role, pod_role
from modelway.cluster.eks.site import Site

NAMESPACE = "kube-system"


@dataclass(frozen=True)
class Spec:
    """One add-on."""

    name: str
    with_nodes: bool
    """Whether it becomes active only once there are nodes."""
    service_account: str = ""
    """Service account with an identity; empty: it needs none."""
    policy: str = ""
    """AWS's managed policy of that identity."""
    configuration: dict[str, Any] = field(default_factory=dict)


SPECS = (
    Spec("eks-pod-identity-agent", with_nodes=False),
    Spec("kube-proxy", with_nodes=False),
    Spec(
        "vpc-cni",
        with_nodes=False,
        service_account="aws-node",
        policy="AmazonEKS_CNI_Policy",
        configuration={"enableNetworkPolicy": "true"},
    ),
    Spec("coredns", with_nodes=True),
    Spec(
        "aws-ebs-csi-driver",
        with_nodes=True,
        service_account="ebs-csi-controller-sa",
        policy="service-role/AmazonEBSCSIDriverPolicy",
    ),
    Spec("metrics-server", with_nodes=True),
)


@dataclass(frozen=True)
class Addons:
    """Makes the add-ons of one cluster, in two steps around its nodes."""

    site: Site
    cluster: aws.eks.Cluster
    kubernetes_version: str
    pinned: dict[str, str]
    auto_mode: bool

    def before_nodes(self) -> list[pulumi.Resource]:
        """What a node needs to become ready."""
        return self._create(with_nodes=False, after=[])

    def with_nodes(self, nodes: Sequence[pulumi.Resource]) -> list[pulumi.Resource]:
        """What waits for nodes."""
        return self._create(with_nodes=True, after=nodes)

    def _create(self, *, with_nodes: bool, after: Sequence[pulumi.Resource]) -> list[pulumi.Resource]:
        made: list[pulumi.Resource] = []
        for spec in SPECS:
            if spec.with_nodes == with_nodes and (not self.auto_mode or spec.name in AUTO_MODE):
                # Identities come through the agent, the first of the list; what waits for nodes has waited for it.
                agent = made[:1] if spec.service_account and not with_nodes else []
                made.append(self._addon(spec, [*after, *agent]))
        return made

    def _addon(self, spec: Spec, after: Sequence[pulumi.Resource]) -> aws.eks.Addon:
        site = self.site
        role = self._role(spec)
        associations = None
        if role is not None:
            associations = [
                aws.eks.AddonPodIdentityAssociationArgs(role_arn=role.arn, service_account=spec.service_account)
            ]
        return aws.eks.Addon(
            f"{site.name}-addon-{spec.name}",
            cluster_name=self.cluster.name,
            addon_name=spec.name,
            addon_version=self._version(spec),
            configuration_values=json.dumps(spec.configuration) if spec.configuration else None,
            pod_identity_associations=associations,
            # What is set here holds, also against a change by hand.
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="OVERWRITE",
            tags=site.tags(spec.name),
            opts=site.child(depends_on=[*after, *(role.grants if role else [])], deleted_with=self.cluster),
        )

    def _role(self, spec: Spec) -> Role | None:
        if not spec.service_account:
            return None
        return pod_role(self.site, spec.name, (NAMESPACE, spec.service_account), [spec.policy])

    def _version(self, spec: Spec) -> pulumi.Input[str]:
        if spec.name in self.pinned:
            return self.pinned[spec.name]
        # Asked of AWS in preview too, so that add-ons move with the control plane.
        return aws.eks.get_addon_version_output(
            addon_name=spec.name, kubernetes_version=self.kubernetes_version, opts=self.site.invoke()
        ).version
