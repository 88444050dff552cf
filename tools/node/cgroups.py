"""The node's cgroup subtree, in every hierarchy of version 1 and in the one of version 2."""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
NEEDED = ("cpu", "cpuset", "memory", "pids")
"""Controllers that kubelet insists on; version 1 also needs `devices` and `cpuacct`."""
NEEDED_V1 = (*NEEDED, "cpuacct", "devices", "freezer")
DAEMONS = "daemons"
"""Child that holds the node's own processes: version 2 allows none in a cgroup that has children."""


@dataclass(frozen=True)
class Hierarchy:
    """One mounted cgroup hierarchy."""

    mount: Path
    controllers: frozenset[str]
    """Controllers to be had here; empty for a named hierarchy of version 1."""
    unified: bool
    """Version 2."""


def hierarchies(mountinfo: str | None = None) -> list[Hierarchy]:
    """The hierarchies that are mounted here (`mountinfo`: text of /proc/self/mountinfo)."""
    found = {}
    for line in (mountinfo if mountinfo is not None else MOUNTS.read_text()).splitlines():
        fields, _, source = line.partition(" - ")
        kind, _, options = source.partition(" ")
        mount = Path(fields.split()[4])
        if kind == "cgroup":
            words = set(options.split()[1].split(","))
            found[mount] = Hierarchy(mount, frozenset(words & set(NEEDED_V1) | words & {"blkio", "hugetlb"}), False)
        elif kind == "cgroup2":
            controllers = mount / "cgroup.controllers"
            available = controllers.read_text().split() if controllers.exists() else []
            found[mount] = Hierarchy(mount, frozenset(available), True)
    return list(found.values())


def missing_controllers(found: list[Hierarchy]) -> list[str]:
    """Controllers that the node needs and no hierarchy offers."""
    available = frozenset().union(*(hierarchy.controllers for hierarchy in found))
    split = any(hierarchy.controllers and not hierarchy.unified for hierarchy in found)
    return sorted(set(NEEDED_V1 if split else NEEDED) - available)


def create(name: str) -> None:
    """Make the subtree in every hierarchy, with its controllers enabled for children."""
    for hierarchy in hierarchies():
        root = hierarchy.mount / name
        if hierarchy.unified:
            _enable(hierarchy.mount, hierarchy.controllers)
            root.mkdir(exist_ok=True)
            _enable(root, hierarchy.controllers)
        root.mkdir(exist_ok=True)
        if "cpuset" in hierarchy.controllers and not hierarchy.unified:
            # A new cpuset of version 1 is empty and takes no process until it says which processors.
            for setting in ("cpuset.cpus", "cpuset.mems"):
                (root / setting).write_text((hierarchy.mount / setting).read_text())
            (root / "cgroup.clone_children").write_text("1")
        (root / DAEMONS).mkdir(exist_ok=True)


def join(name: str) -> None:
    """Move the calling process into the subtree; its children follow."""
    for hierarchy in hierarchies():
        (hierarchy.mount / name / DAEMONS / "cgroup.procs").write_text("0")


def remove(name: str, deadline_seconds: float = 10.0) -> list[Path]:
    """Kill what is left in the subtree and remove it; returns what could not be removed in time."""
    end = time.monotonic() + deadline_seconds
    while left := [path for hierarchy in hierarchies() for path in _subtree(hierarchy.mount / name)]:
        for path in left:
            _kill_members(path)
            with contextlib.suppress(OSError):
                path.rmdir()
        if time.monotonic() > end:
            return [path for path in left if path.exists()]
        if any(path.exists() for path in left):
            # The kernel empties a cgroup some milliseconds after its last process; there is nothing to wait on in v1.
            time.sleep(0.05)
    return []


def names() -> set[str]:
    """Every cgroup of the machine, as path."""
    return {str(path) for hierarchy in hierarchies() for path in _subtree(hierarchy.mount)}


def _enable(path: Path, controllers: frozenset[str]) -> None:
    enabled = set((path / "cgroup.subtree_control").read_text().split())
    for controller in sorted(controllers - enabled):
        with contextlib.suppress(OSError):
            (path / "cgroup.subtree_control").write_text(f"+{controller}")


def _subtree(path: Path) -> list[Path]:
    """The folder and all below it, deepest first."""
    if not path.is_dir():
        return []
    below: list[Path] = []
    with contextlib.suppress(FileNotFoundError):
        for child in path.iterdir():
            if child.is_dir() and not child.is_symlink():
                below += _subtree(child)
    return [*below, path]


def _kill_members(path: Path) -> None:
    with contextlib.suppress(OSError):
        for pid in (path / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
