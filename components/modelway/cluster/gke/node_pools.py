"""Node pools."""

import hashlib
from collections.abc import Sequence

import pulumi_gcp as gcp

from modelway._common import as_int
from modelway.cluster.gke.arguments import DEFAULT_DISK_GB, GkeNodePoolArgs
from modelway.cluster.gke.machine_types import Machine, machine_of
from modelway.cluster.gke.nodes import Nodes, Parts, pool_config
from modelway.cluster.gke.site import Site
from modelway.cluster.taints import parse


def machine(pool: GkeNodePoolArgs) -> Machine:
    """Machine of a valid pool."""
    found = machine_of(pool["machine_type"])
    if found is None:
        raise ValueError(pool["machine_type"])
    return found


def physical_name(pool: GkeNodePoolArgs) -> str:
    """Name in Google Cloud: another one where GKE replaces a pool, so that the new one comes before the old one goes.

    Of what a pool says, these are the fields that the provider marks force-new
    (https://github.com/hashicorp/terraform-provider-google, google/services/container/node_config.go at commit e03b7622
    of 2026-08-21).
    """
    of = machine(pool)
    fixed = (pool.get("spot", False), pool.get("sandbox", False), of.family.gpu, of.gpus)
    return f"{pool['name']}-{hashlib.sha256(repr(fixed).encode()).hexdigest()[:6]}"


def first_size(pool: GkeNodePoolArgs, zones: int) -> int:
    """Nodes per zone to start with: enough for the least number in all, as long as the greatest allows."""
    least, most = as_int(pool["min_size"], 0), as_int(pool["max_size"], 0)
    return min(-(-least // zones), most // zones)


def create(
    site: Site, cluster: gcp.container.Cluster, pool: GkeNodePoolArgs, parts: Parts, zones: Sequence[str]
) -> gcp.container.NodePool:
    """One pool of a cluster over `zones`."""
    spot = pool.get("spot", False)
    own_zones = pool.get("zones")
    return gcp.container.NodePool(
        f"{site.name}-pool-{pool['name']}",
        name=physical_name(pool),
        project=site.project,
        location=site.region,
        cluster=cluster.name,
        node_locations=list(own_zones) if own_zones else None,
        initial_node_count=first_size(pool, len(own_zones or zones)),
        autoscaling=gcp.container.NodePoolAutoscalingArgs(
            total_min_node_count=as_int(pool["min_size"], 0),
            total_max_node_count=as_int(pool["max_size"], 0),
            # Spare capacity is taken where it is; other nodes are spread.
            location_policy="ANY" if spot else "BALANCED",
        ),
        management=gcp.container.NodePoolManagementArgs(auto_repair=True, auto_upgrade=True),
        upgrade_settings=gcp.container.NodePoolUpgradeSettingsArgs(strategy="SURGE", max_surge=1, max_unavailable=0),
        network_config=gcp.container.NodePoolNetworkConfigArgs(enable_private_nodes=True),
        node_config=_config(site, pool, parts.nodes, spot),
        opts=site.child(
            depends_on=[*parts.nodes.grants, *parts.network.ways_out],
            # A cluster takes its nodes along
            # (https://docs.cloud.google.com/kubernetes-engine/docs/reference/rest/v1/projects.locations.clusters/delete).
            deleted_with=cluster,
            # The number belongs to whoever scales the pool.
            ignore_changes=["initialNodeCount"],
        ),
    )


def _config(site: Site, pool: GkeNodePoolArgs, nodes: Nodes, spot: bool) -> gcp.container.NodePoolNodeConfigArgs:
    config = pool_config(site, nodes)
    config.machine_type = pool["machine_type"]
    config.spot = spot
    config.disk_size_gb = as_int(pool.get("disk_gb"), DEFAULT_DISK_GB)
    config.guest_accelerators = _accelerators(machine(pool))
    if pool.get("sandbox", False):
        config.sandbox_config = gcp.container.NodePoolNodeConfigSandboxConfigArgs(type="GVISOR")
    config.labels = dict(pool.get("labels", {})) or None
    config.taints = [_taint(text) for text in pool.get("taints", [])] or None
    return config


def _accelerators(of: Machine) -> list[gcp.container.NodePoolNodeConfigGuestAcceleratorArgs] | None:
    if not of.gpus:
        return None
    driver = gcp.container.NodePoolNodeConfigGuestAcceleratorGpuDriverInstallationConfigArgs(
        gpu_driver_version="DEFAULT"
    )
    return [
        gcp.container.NodePoolNodeConfigGuestAcceleratorArgs(
            type=of.family.gpu, count=of.gpus, gpu_driver_installation_config=driver
        )
    ]


def _taint(text: str) -> gcp.container.NodePoolNodeConfigTaintArgs:
    taint = parse(text)
    return gcp.container.NodePoolNodeConfigTaintArgs(key=taint.key, value=taint.value, effect=taint.effect)
