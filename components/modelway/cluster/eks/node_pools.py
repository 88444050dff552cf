"""Managed node groups with launch templates."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from modelway._common import as_int
from modelway.cluster.eks.arguments import DEFAULT_DISK_GB, EksNodePoolArgs
from modelway.cluster.eks.instance_types import Family, family_of
from modelway.cluster.eks.roles import Role
from modelway.cluster.eks.site import Site
from modelway.cluster.taints import parse

NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
"""What a node may do. The network plugin and all pods have roles of their own; no shell, not even Session Manager's."""

GPU_TAINT = "nvidia.com/gpu=true:NoSchedule"
AMI_TYPES = {
    ("al2023", "amd64", False): "AL2023_x86_64_STANDARD",
    ("al2023", "arm64", False): "AL2023_ARM_64_STANDARD",
    ("al2023", "amd64", True): "AL2023_x86_64_NVIDIA",
    ("al2023", "arm64", True): "AL2023_ARM_64_NVIDIA",
    ("bottlerocket", "amd64", False): "BOTTLEROCKET_x86_64",
    ("bottlerocket", "arm64", False): "BOTTLEROCKET_ARM_64",
    ("bottlerocket", "amd64", True): "BOTTLEROCKET_x86_64_NVIDIA",
    ("bottlerocket", "arm64", True): "BOTTLEROCKET_ARM_64_NVIDIA",
}
"""Values of `amiType` (https://docs.aws.amazon.com/eks/latest/APIReference/API_Nodegroup.html)."""

BOTTLEROCKET_ROOT_GB = 4
"""Bottlerocket keeps images and pods on a second disk."""


def family(pool: EksNodePoolArgs) -> Family:
    """Family of a valid pool's instances; all of them have the same architecture and the same kind of GPU."""
    found = family_of(pool["instance_types"][0])
    if found is None:
        raise ValueError(pool["instance_types"][0])
    return found


def ami_type(pool: EksNodePoolArgs) -> str:
    """EKS's image for the pool."""
    kind = family(pool)
    return AMI_TYPES[pool.get("os", "al2023"), kind.architecture, bool(kind.gpu)]


def disks(pool: EksNodePoolArgs) -> dict[str, int]:
    """Size in GiB of each disk, by device."""
    size = as_int(pool.get("disk_gb"), DEFAULT_DISK_GB)
    if pool.get("os", "al2023") == "bottlerocket":
        return {"/dev/xvda": BOTTLEROCKET_ROOT_GB, "/dev/xvdb": size}
    return {"/dev/xvda": size}


def taints(pool: EksNodePoolArgs) -> list[str]:
    """Taints of the pool, with the one that keeps other pods off GPUs."""
    asked = list(pool.get("taints", []))
    return [GPU_TAINT, *asked] if family(pool).gpu and GPU_TAINT not in asked else asked


def create(
    site: Site,
    cluster: aws.eks.Cluster,
    pool: EksNodePoolArgs,
    role: Role,
    subnet_ids: Sequence[pulumi.Input[str]],
    after: Sequence[pulumi.Resource],
) -> aws.eks.NodeGroup:
    """One pool; `after` is what its nodes need while they live."""
    name = f"{site.name}-pool-{pool['name']}"
    template = _launch_template(site, name, pool)
    return aws.eks.NodeGroup(
        name,
        cluster_name=cluster.name,
        # The control plane first, then one node after the other.
        version=cluster.version,
        node_role_arn=role.arn,
        subnet_ids=list(subnet_ids),
        ami_type=ami_type(pool),
        capacity_type="SPOT" if pool.get("spot", False) else "ON_DEMAND",
        instance_types=list(pool["instance_types"]),
        launch_template=aws.eks.NodeGroupLaunchTemplateArgs(
            id=template.id, version=template.latest_version.apply(lambda number: str(int(number)))
        ),
        scaling_config=aws.eks.NodeGroupScalingConfigArgs(
            min_size=as_int(pool["min_size"], 0),
            max_size=as_int(pool["max_size"], 0),
            desired_size=as_int(pool["min_size"], 0),
        ),
        update_config=aws.eks.NodeGroupUpdateConfigArgs(max_unavailable=1),
        node_repair_config=aws.eks.NodeGroupNodeRepairConfigArgs(enabled=True),
        labels=dict(pool.get("labels", {})) or None,
        taints=[_taint(text) for text in taints(pool)] or None,
        tags=site.tags(pool["name"]),
        # The number belongs to whoever scales the pool.
        opts=site.child(depends_on=[*role.grants, *after], ignore_changes=["scalingConfig.desiredSize"]),
    )


def _launch_template(site: Site, name: str, pool: EksNodePoolArgs) -> aws.ec2.LaunchTemplate:
    return aws.ec2.LaunchTemplate(
        f"{name}-template",
        # One hop: answers end on the node, so pods cannot read its credentials.
        metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
            http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
        ),
        block_device_mappings=[
            aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                device_name=device,
                ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                    volume_size=size, volume_type="gp3", encrypted="true", delete_on_termination="true"
                ),
            )
            for device, size in disks(pool).items()
        ],
        tag_specifications=[
            aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=site.tags(pool["name"]))
            for kind in ("instance", "volume")
        ],
        update_default_version=True,
        tags=site.tags(pool["name"]),
        opts=site.child(),
    )


def _taint(text: str) -> aws.eks.NodeGroupTaintArgs:
    taint = parse(text)
    return aws.eks.NodeGroupTaintArgs(key=taint.key, value=taint.value or None, effect=taint.effect)
