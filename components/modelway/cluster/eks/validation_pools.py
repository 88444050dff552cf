"""Refuses wrong node pools; pure."""

from modelway._common import as_int, is_dns_label
from modelway.cluster import node_counts, taints
from modelway.cluster.eks.arguments import DEFAULT_DISK_GB, EksClusterArgs, EksNodePoolArgs
from modelway.cluster.eks.instance_types import Family, family_of, instance_types
from modelway.cluster.findings import Findings, repeated

OPERATING_SYSTEMS = ("al2023", "bottlerocket")
LONGEST_POOL = 20
SMALLEST_DISK_GB = 20


def node_pools(findings: Findings, args: EksClusterArgs) -> None:
    """Pools where nodes are ours, none in Auto Mode."""
    pools = args.get("node_pools", [])
    if args.get("auto_mode", False):
        if pools:
            findings.add(
                "node_pools",
                "Auto Mode makes the nodes",
                f"{len(pools)} with auto_mode",
                "none",
                "remove one of the two",
            )
        return
    if not pools:
        findings.add(
            "node_pools",
            "no nodes",
            "none",
            "at least one pool, or auto_mode",
            "add a pool",
        )
    elif not any(_starts_on(pool) for pool in pools):
        findings.add(
            "node_pools",
            "nothing that Karpenter and the add-ons can start on",
            ", ".join(pool["name"] for pool in pools),
            "a pool with min_size 1 or more, without GPU and taints",
            "add one",
        )
    for name in repeated(pool["name"] for pool in pools):
        findings.add("node_pools", "named twice", repr(name), "each once", "rename one")
    for index, pool in enumerate(pools):
        _pool(findings, f"node_pools[{index}]", pool)


def _starts_on(pool: EksNodePoolArgs) -> bool:
    families = [family_of(name) for name in pool["instance_types"]]
    gpu = any(family and family.gpu for family in families)
    kept_off = any(not taint.endswith(":PreferNoSchedule") for taint in pool.get("taints", []))
    return as_int(pool["min_size"], 0) >= 1 and not gpu and not kept_off


def _pool(findings: Findings, where: str, pool: EksNodePoolArgs) -> None:
    if not is_dns_label(pool["name"]) or len(pool["name"]) > LONGEST_POOL:
        findings.add(
            f"{where}.name",
            "no name of a pool",
            repr(pool["name"]),
            f"lower-case letters, digits and '-', a letter first, at most {LONGEST_POOL}",
            "rename it",
        )
    _sizes(findings, where, pool)
    _types(findings, where, pool["instance_types"])
    findings.one_of(f"{where}.os", "unknown operating system", pool.get("os", "al2023"), OPERATING_SYSTEMS)
    taints.check(findings, where, pool.get("taints", []))


def _sizes(findings: Findings, where: str, pool: EksNodePoolArgs) -> None:
    node_counts.check(findings, where, pool["min_size"], pool["max_size"])
    disk = as_int(pool.get("disk_gb"), DEFAULT_DISK_GB)
    if not SMALLEST_DISK_GB <= disk <= 16384:
        findings.add(f"{where}.disk_gb", "too small or too large", disk, f"{SMALLEST_DISK_GB} to 16384", "change it")


def _types(findings: Findings, where: str, types: list[str]) -> None:
    argument = f"{where}.instance_types"
    if not types:
        findings.add(argument, "no instance type", "none", "such as m7i.large", "add one")
    families: dict[str, Family] = {}
    for name in types:
        if findings.one_of(argument, "unknown instance type", name, instance_types(), "an EC2 type such as m7i.large"):
            found = family_of(name)
            families |= {name: found} if found else {}
    if len({family.architecture for family in families.values()}) > 1:
        shown = ", ".join(f"{name} {family.architecture}" for name, family in families.items())
        findings.add(argument, "two architectures in one pool", shown, "one", "make a pool of each")
    if len({bool(family.gpu) for family in families.values()}) > 1:
        shown = ", ".join(f"{name} {family.gpu or 'no GPU'}" for name, family in families.items())
        findings.add(argument, "with and without GPU in one pool", shown, "one kind", "make a pool of each")
