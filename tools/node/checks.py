"""What must be true of the machine before the node starts; everything that is not, at once."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.node import cgroups, procfs
from tools.node.layout import Layout
from tools.problem import Problem

GIB = 1024**3
NEEDED_DISK_BYTES = 10 * GIB
NEEDED_MEMORY_BYTES = 4 * GIB
PROGRAMS = {"unshare": "util-linux", "nsenter": "util-linux", "mount": "mount", "ip": "iproute2"}
"""Programs of every Linux machine that the node calls → Debian package."""
LINKS = ("bridge", "veth")


def problems(layout: Layout, *, running: bool) -> list[Problem]:
    """Every reason against starting the node here; `running`: it has its ports and its share already."""
    if sys.platform != "linux":
        fix = "use `make up STACK=local` (kind) on this machine"
        return [Problem("node", "the one-node Kubernetes needs Linux", sys.platform, "linux", fix)]
    found = programs()
    if not running:
        found += [*disk(layout.root), *memory(available_memory()), *ports(layout)]
    if os.geteuid() != 0:
        return [root_needed(), *found]
    return found if running else [*found, *kernel()]


def root_needed() -> Problem:
    """Said to everybody but root."""
    return Problem(
        "node", "namespaces, mounts and cgroups need root", f"user id {os.geteuid()}", "user id 0",
        "run it as root, or use `make up STACK=local` (kind)",
    )  # fmt: skip


def programs() -> list[Problem]:
    """Programs that are missing."""
    return [
        Problem(name, "this program is missing", "nothing on PATH", "an executable", f"install the package {package}")
        for name, package in PROGRAMS.items()
        if shutil.which(name) is None
    ]


def ports(layout: Layout) -> list[Problem]:
    """Ports that the node wants on 127.0.0.1 and that somebody else has, or that it wants twice."""
    listening = procfs.listeners()
    found = []
    wanted = layout.ports.named()
    for variable, port in wanted.items():
        twin = next((other for other in wanted if other != variable and wanted[other] == port), "")
        if twin:
            found.append(
                Problem(
                    variable,
                    "the port is given twice",
                    f"{port} as for {twin}",
                    "a port of its own",
                    f"change {variable}",
                )
            )
        taken = next((entry for entry in listening if entry.port == port and _blocks(entry)), None)
        if taken:
            found.append(
                Problem(
                    f"127.0.0.1:{port}", "the port is in use", procfs.holder(taken.inode), "a free port",
                    f"stop that process or set {variable} to another port",
                )
            )  # fmt: skip
    return found


def _blocks(listener: procfs.Listener) -> bool:
    address = listener.address.rpartition(":")[0]
    return (listener.kind == "tcp" and address in ("0.0.0.0", "127.0.0.1")) or (  # noqa: S104
        listener.kind == "tcp6" and set(address) <= set("[0:]")
    )


def disk(folder: Path) -> list[Problem]:
    """Too little space where the node keeps its data."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free >= NEEDED_DISK_BYTES:
        return []
    fix = "free some space or set MODELWAY_STATE_DIR to a larger disk"
    return [Problem(str(folder), "too little disk", f"{free / GIB:.1f} GiB free", "at least 10 GiB", fix)]


def memory(available_bytes: int) -> list[Problem]:
    """Too little memory for a control plane and a few models."""
    if available_bytes >= NEEDED_MEMORY_BYTES:
        return []
    got = f"{available_bytes / GIB:.1f} GiB available"
    return [Problem("memory", "too little for the node", got, "at least 4 GiB", "stop other programs")]


def available_memory() -> int:
    """Memory in bytes that new programs can have, by the kernel's own estimate."""
    for line in (procfs.PROC / "meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def kernel() -> list[Problem]:
    """Features that the kernel lacks: tried in throw-away namespaces, because a version number proves nothing."""
    found = []
    if missing := cgroups.missing_controllers(cgroups.hierarchies()):
        fix = "boot with these controllers enabled"
        found.append(Problem("cgroups", "controllers are missing", ", ".join(missing), "all of them mounted", fix))
    if "overlay" not in (procfs.PROC / "filesystems").read_text().split() and not _loads("overlay"):
        found.append(_feature("overlay file system", "overlay"))
    if _unshared("true"):
        return [*found, _feature("network, mount and PID namespaces", "namespaces")]
    for kind in LINKS:
        if _unshared("ip", "link", "add", "probe0", "type", kind) and not _loads(kind):
            found.append(_feature(f"{kind} network device", kind))
    return found


def _feature(what: str, module: str) -> Problem:
    return Problem(
        "kernel", f"no {what}", f"`{module}` neither built in nor loadable", "a kernel with it",
        "use a kernel of a usual distribution",
    )  # fmt: skip


def _unshared(*command: str) -> bool:
    """Whether the command fails in new namespaces."""
    result = subprocess.run(
        ["unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", *command], capture_output=True, check=False
    )
    return result.returncode != 0


def _loads(module: str) -> bool:
    if shutil.which("modprobe") is None:
        return False
    return subprocess.run(["modprobe", module], capture_output=True, check=False).returncode == 0
