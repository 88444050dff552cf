"""Minor versions of Kubernetes; pure."""

import re

from modelway.cluster.findings import Findings


def minor(version: str) -> int | None:
    """35 of `1.35` and of `1.35.2-gke.100`; None of anything else."""
    found = re.fullmatch(r"1\.(\d{1,3})(\..+)?", version)
    return int(found[1]) if found else None


def check_upgrade(findings: Findings, current: str, wanted: str, back: int | None = None) -> None:
    """Refuses more than one minor version up from `current` to `wanted`, or more than `back` down if that is said."""
    before, after = minor(current), minor(wanted)
    if before is None or after is None:
        return
    highest, lowest = before + 1, 0 if back is None else before - back
    if lowest <= after <= highest:
        return
    allowed, nearest = ("at most", highest) if after > highest else ("at least", lowest)
    findings.add(
        "kubernetes_version",
        "skips a minor version",
        f"{wanted!r} for a cluster of {current!r}",
        f"{allowed} '1.{nearest}'",
        f"go to '1.{nearest}' first",
    )
