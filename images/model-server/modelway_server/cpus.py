"""How many CPUs this process may use: the container's limit, not the host's number."""

import os
from pathlib import Path


def cpu_limit(root: Path = Path("/")) -> float:
    """CPUs that the cgroup (v1 or v2) and the affinity mask allow, fractions included: 1.5 for `cpu: 1500m`.

    Without a cgroup limit it is the size of the affinity mask. `root` is where `/proc` and `/sys` are looked for.
    """
    mask = float(len(os.sched_getaffinity(0)))
    limit = cgroup_limit(root)
    return mask if limit is None else min(mask, limit)


def cgroup_limit(root: Path = Path("/")) -> float | None:
    """CPUs that the cgroup (v1 or v2) allows, fractions included; None without a limit."""
    limits = [limit for folder in _folders(root) for limit in (_limit_v2(folder), _limit_v1(folder))]
    return min((limit for limit in limits if limit is not None), default=None)


def _folders(root: Path) -> list[Path]:
    """This process's CPU cgroup and all above it, in every hierarchy that is mounted at its usual place.

    In a container the path in `/proc/self/cgroup` may be the host's, which is not mounted: the mount's own top is the
    container's cgroup then, so folders that are not there are left out by their readers.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        hierarchy, controllers, path = line.split(":", 2)
        if hierarchy == "0":
            tops = ["sys/fs/cgroup"]
        elif "cpu" in controllers.split(","):
            tops = [f"sys/fs/cgroup/{controllers}", "sys/fs/cgroup/cpu"]
        else:
            continue
        inside = Path(path.lstrip("/"))
        folders += [root / top / part for top in tops for part in (inside, *inside.parents)]
    return folders


def _limit_v2(folder: Path) -> float | None:
    """`cpu.max` is `QUOTA PERIOD` in µs, or `max PERIOD`."""
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() else None


def _limit_v1(folder: Path) -> float | None:
    """`cpu.cfs_quota_us` is -1 without a limit."""
    quota = _text(folder / "cpu.cfs_quota_us")
    return int(quota) / int(_text(folder / "cpu.cfs_period_us")) if quota.isdigit() else None


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""
