"""Refuses wrong numbers of nodes of a pool, which EKS and GKE count alike; pure."""

from modelway._common import as_int
from modelway.cluster.findings import Findings


def check(findings: Findings, where: str, least: float, most: float) -> None:
    """At least none, at most one or more, in this order; `where` is the pool."""
    low, high = as_int(least, 0), as_int(most, 0)
    if low < 0 or high < 1:
        findings.add(f"{where}.max_size", "no nodes", f"{low} to {high}", "min 0 or more, max 1 or more", "change it")
    elif low > high:
        findings.add(f"{where}.min_size", "more than max_size", f"{low} > {high}", "at most max_size", "change one")
