"""What the supervisor does first inside its new namespaces: mounts, network, host name.

All of it belongs to namespaces that end with their last process, so nothing here has an undo.
"""

import socket
import subprocess
from pathlib import Path

from tools.node import layout as at
from tools.node.configs import CNI_STATE, FELIX_STATUS, KERNEL_SETTINGS, KUBELET, RUN

CNI_CACHE = Path("/var/lib/cni")
"""Where the CNI library caches results; in memory here, so that every start is like a reboot."""
CALICO = Path("/var/lib/calico")
"""Where Felix notes the size of packets, whether or not anybody asks."""

NETWORK_SETTINGS = {
    "net/ipv4/ip_forward": "1",
    # Low ports need no capability inside this namespace.
    "net/ipv4/ip_unprivileged_port_start": "0",
}


def enter(root: Path) -> None:
    """Set up the calling process's own mount, network and UTS namespaces; `root`: the node's folder."""
    _mounts(root)
    _network()
    socket.sethostname(at.NODE_NAME)


def _mounts(root: Path) -> None:
    # Private first: nothing mounted here may appear outside.
    _run("mount", "--make-rprivate", "/")
    _run("mount", "-t", "proc", "-o", "nosuid,nodev,noexec", "proc", "/proc")
    _run("mount", "-t", "tmpfs", "-o", "mode=0755,nosuid,nodev", "modelway-node", str(RUN))
    _fresh_sys()
    CNI_STATE.mkdir()
    FELIX_STATUS.mkdir()
    _make_room()
    for path in (CNI_CACHE, CALICO):
        _run("mount", "-t", "tmpfs", "-o", "mode=0700", "modelway-node", str(path))
    _run("mount", "--bind", str(root / "data" / "kubelet"), str(KUBELET))
    _run("mount", "--bind", str(root / "data" / "var-log"), "/var/log")
    for setting in KERNEL_SETTINGS:
        # A setting that the kernel lacks needs no cover.
        if Path("/proc/sys", setting).exists():
            _run("mount", "--bind", str(root / "config" / "sysctl" / setting), f"/proc/sys/{setting}")
    # Shared last, inside this namespace only: pods with mount propagation need it.
    _run("mount", "--make-rshared", "/")


def _make_room() -> None:
    """Give this mount namespace the folders that Kubernetes' parts insist on, without making them outside.

    A new folder below /var/lib would be seen by the whole machine. So /var/lib becomes a memory file system here,
    with everything that it holds bound back into it.
    """
    if all(path.exists() for path in (CNI_CACHE, CALICO, KUBELET)):
        return
    parent, aside = KUBELET.parent, RUN / "var-lib"
    aside.mkdir()
    _run("mount", "--rbind", str(parent), str(aside))
    _run("mount", "-t", "tmpfs", "-o", "mode=0755,nodev", "modelway-node", str(parent))
    for entry in aside.iterdir():
        place = parent / entry.name
        if entry.is_symlink():
            place.symlink_to(entry.readlink())
        elif entry.is_dir():
            place.mkdir()
            _run("mount", "--rbind", str(entry), str(place))
    _run("umount", "--recursive", str(aside))
    for path in (CNI_CACHE, CALICO, KUBELET):
        path.mkdir(exist_ok=True)


def _fresh_sys() -> None:
    """Show this network namespace's interfaces in /sys, and keep the cgroup hierarchies that hang below it."""
    aside = RUN / "cgroup"
    aside.mkdir()
    _run("mount", "--rbind", "/sys/fs/cgroup", str(aside))
    _run("mount", "-t", "sysfs", "-o", "nosuid,nodev,noexec", "sysfs", "/sys")
    _run("mount", "--rbind", str(aside), "/sys/fs/cgroup")
    _run("umount", "--recursive", str(aside))


def _network() -> None:
    _run("ip", "link", "set", "lo", "up")
    # A bridge without ports: an address that lives as long as the namespace. Not every kernel has `dummy`.
    _run("ip", "link", "add", "node0", "type", "bridge")
    _run("ip", "address", "add", at.NODE_NETWORK, "dev", "node0")
    _run("ip", "link", "set", "node0", "up")
    # iptables redirects to a Service only after a route was found, and there is no default route.
    _run("ip", "route", "add", at.SERVICE_NETWORK, "dev", "node0")
    # Calico gives every pod this address as its gateway; the node answers for it only if it has a route to it.
    _run("ip", "route", "add", "169.254.1.1", "dev", "node0")
    for setting, value in NETWORK_SETTINGS.items():
        Path("/proc/sys", setting).write_text(value)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
