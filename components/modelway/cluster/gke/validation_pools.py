"""Refuses wrong zones and node pools; pure."""

from modelway._common import as_int, is_dns_label
from modelway.cluster import node_counts, taints
from modelway.cluster.eks.instance_types import family_of
from modelway.cluster.findings import Findings, repeated
from modelway.cluster.gke.arguments import DEFAULT_DISK_GB, GkeClusterArgs, GkeNodePoolArgs
from modelway.cluster.gke.machine_types import gpus_in, machine_of, machine_types

LONGEST_POOL = 20
SMALLEST_DISK_GB = 20
LARGEST_DISK_GB = 65536


def zones(findings: Findings, args: GkeClusterArgs, region: str) -> None:
    """Two or three of the region where nodes are ours, none under Autopilot; `region` is empty where it is unknown."""
    asked = args.get("zones", [])
    if args.get("autopilot", False):
        if asked:
            findings.add("zones", "Autopilot chooses them", ", ".join(asked), "none", "remove one of the two")
        return
    if not 2 <= len(asked) <= 3 or repeated(asked):
        example = region or "europe-west4"
        findings.add(
            "zones",
            "not two or three different zones",
            ", ".join(asked) or "none",
            "two or three",
            f"such as {example}-b and {example}-c",
        )
    _in_region(findings, "zones", asked, region)


def _in_region(findings: Findings, argument: str, asked: list[str], region: str) -> None:
    for zone in asked if region else []:
        place, _, letter = zone.rpartition("-")
        if place != region or len(letter) != 1 or not "a" <= letter <= "z":
            findings.add(
                argument, "no zone of the region", repr(zone), f"{region}-b, {region}-c, …", "change zone or region"
            )


def node_pools(findings: Findings, args: GkeClusterArgs, region: str) -> None:
    """Pools where nodes are ours, none under Autopilot."""
    pools = args.get("node_pools", [])
    if args.get("autopilot", False):
        if pools:
            findings.add(
                "node_pools",
                "Autopilot makes the nodes",
                f"{len(pools)} with autopilot",
                "none",
                "remove one of the two",
            )
        return
    if not pools:
        findings.add("node_pools", "no nodes", "none", "at least one pool, or autopilot", "add a pool")
    elif not any(_starts_on(pool) for pool in pools):
        findings.add(
            "node_pools",
            "nothing that the cluster's own pods can start on",
            ", ".join(pool["name"] for pool in pools),
            "a pool of amd64 with min_size 1 or more, without GPU, sandbox and taints",
            "add one",
        )
    for name in repeated(pool["name"] for pool in pools):
        findings.add("node_pools", "named twice", repr(name), "each once", "rename one")
    for index, pool in enumerate(pools):
        _pool(findings, f"node_pools[{index}]", pool, region)


def _starts_on(pool: GkeNodePoolArgs) -> bool:
    machine = machine_of(pool["machine_type"])
    # GKE keeps pods off GPUs, and off Arm where a cluster has both architectures.
    plain = machine is None or (not machine.gpus and machine.family.architecture == "amd64")
    kept_off = any(not taint.endswith(":PreferNoSchedule") for taint in pool.get("taints", []))
    return as_int(pool["min_size"], 0) >= 1 and plain and not kept_off and not pool.get("sandbox", False)


def _pool(findings: Findings, where: str, pool: GkeNodePoolArgs, region: str) -> None:
    if not is_dns_label(pool["name"]) or len(pool["name"]) > LONGEST_POOL:
        findings.add(
            f"{where}.name",
            "no name of a pool",
            repr(pool["name"]),
            f"lower-case letters, digits and '-', a letter first, at most {LONGEST_POOL}",
            "rename it",
        )
    _sizes(findings, where, pool)
    _machine(findings, where, pool, region)
    _in_region(findings, f"{where}.zones", pool.get("zones", []), region)
    for zone in repeated(pool.get("zones", [])):
        findings.add(f"{where}.zones", "named twice", repr(zone), "each once", "remove one")
    taints.check(findings, where, pool.get("taints", []))


def _sizes(findings: Findings, where: str, pool: GkeNodePoolArgs) -> None:
    node_counts.check(findings, where, pool["min_size"], pool["max_size"])
    disk = as_int(pool.get("disk_gb"), DEFAULT_DISK_GB)
    if not SMALLEST_DISK_GB <= disk <= LARGEST_DISK_GB:
        allowed = f"{SMALLEST_DISK_GB} to {LARGEST_DISK_GB}"
        findings.add(f"{where}.disk_gb", "too small or too large", disk, allowed, "change it")


def _machine(findings: Findings, where: str, pool: GkeNodePoolArgs, region: str) -> None:
    argument, name = f"{where}.machine_type", pool["machine_type"]
    machine = machine_of(name)
    if machine is None:
        if family_of(name):
            findings.add(argument, "an instance type of AWS", repr(name), "such as n4-standard-4", "change it")
        else:
            findings.one_of(argument, "unknown machine type", name, machine_types(), "such as n4-standard-4")
        return
    if region and region not in machine.family.regions:
        gpu = machine.family.gpu
        findings.add(
            argument,
            f"no {gpu} in the region" if gpu else "the region has none of this family",
            f"{name!r} in {region}",
            f"there {', '.join(gpus_in(region)) or 'no GPU'}" if gpu else ", ".join(machine.family.regions),
            "change type or region",
        )
