"""What every node has, in a pool, in the first pool that GKE makes by itself, and under Autopilot."""

from dataclasses import dataclass
from typing import NamedTuple

import pulumi
import pulumi_gcp as gcp

from modelway.cluster.gke.keys import Key
from modelway.cluster.gke.network import Network
from modelway.cluster.gke.services import Services
from modelway.cluster.gke.site import Site

NODE_ROLE = "roles/container.defaultNodeServiceAccount"
"""What a node needs: writing its logs and metrics. Pods have identities of their own; the registry lets it pull.

Source: https://docs.cloud.google.com/kubernetes-engine/security/configure-node-service-accounts"""

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
"""IAM decides what a node may do; scopes are the older way (same source)."""

IMAGE = "COS_CONTAINERD"
METADATA = {"disable-legacy-endpoints": "true"}


@dataclass(frozen=True)
class Nodes:
    """Identity of the nodes and the key of their disks; whoever makes nodes waits for `grants`."""

    service_account: pulumi.Output[str]
    disks_key: pulumi.Output[str]
    grants: list[pulumi.Resource]


class Parts(NamedTuple):
    """What a cluster is made of before it is there."""

    network: Network
    secrets: Key
    nodes: Nodes
    services: Services


def identity(site: Site, services: Services, disks: Key) -> Nodes:
    """A service account that is nothing but a node."""
    account = gcp.serviceaccount.Account(
        f"{site.name}-nodes",
        project=site.project,
        account_id=f"{site.cluster}-nodes",
        display_name=f"Nodes of {site.cluster}",
        opts=site.child(depends_on=[services["iam"]]),
    )
    grant = gcp.projects.IAMMember(
        f"{site.name}-nodes-role",
        project=site.project,
        role=NODE_ROLE,
        member=account.member,
        opts=site.child(),
    )
    return Nodes(account.email, disks.id, [grant, disks.grant])


def pool_config(site: Site, nodes: Nodes) -> gcp.container.NodePoolNodeConfigArgs:
    """What every node of a pool has."""
    return gcp.container.NodePoolNodeConfigArgs(
        service_account=nodes.service_account,
        oauth_scopes=list(SCOPES),
        image_type=IMAGE,
        boot_disk_kms_key=nodes.disks_key,
        metadata=dict(METADATA),
        resource_labels=dict(site.labels),
        shielded_instance_config=gcp.container.NodePoolNodeConfigShieldedInstanceConfigArgs(
            enable_secure_boot=True, enable_integrity_monitoring=True
        ),
        # Pods get their own identity of the node's metadata server, never the node's.
        workload_metadata_config=gcp.container.NodePoolNodeConfigWorkloadMetadataConfigArgs(mode="GKE_METADATA"),
        kubelet_config=gcp.container.NodePoolNodeConfigKubeletConfigArgs(
            insecure_kubelet_readonly_port_enabled="FALSE"
        ),
    )


def first_pool_config(site: Site, nodes: Nodes) -> gcp.container.ClusterNodeConfigArgs:
    """The same for the pool that GKE makes by itself, under the names that the SDK has there."""
    return gcp.container.ClusterNodeConfigArgs(
        service_account=nodes.service_account,
        oauth_scopes=list(SCOPES),
        image_type=IMAGE,
        boot_disk_kms_key=nodes.disks_key,
        metadata=dict(METADATA),
        resource_labels=dict(site.labels),
        shielded_instance_config=gcp.container.ClusterNodeConfigShieldedInstanceConfigArgs(
            enable_secure_boot=True, enable_integrity_monitoring=True
        ),
        workload_metadata_config=gcp.container.ClusterNodeConfigWorkloadMetadataConfigArgs(mode="GKE_METADATA"),
        kubelet_config=gcp.container.ClusterNodeConfigKubeletConfigArgs(insecure_kubelet_readonly_port_enabled="FALSE"),
    )
