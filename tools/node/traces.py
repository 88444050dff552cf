"""What the node could leave on a machine: seen before and after, compared.

Two things outlive the node and are not counted: kernel modules that it made the kernel load (`overlay`,
`ip_set`, `nf_tables`, `xt_*`), and what lies in the node's own folder until `node down --purge`.
"""

import dataclasses
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.node import cgroups, procfs
from tools.node.configs import KERNEL_SETTINGS
from tools.node.layout import CGROUP_PREFIX, Layout

NODE_CGROUP = re.compile(rf"{CGROUP_PREFIX}[0-9a-f]+")

FIREWALL_LISTINGS = (
    ("iptables-save",),
    ("ip6tables-save",),
    ("iptables-legacy-save",),
    ("nft", "--stateless", "list", "ruleset"),
    ("ipset", "list"),
)


@dataclass(frozen=True)
class Snapshot:
    """Everything of the machine that a node touches; each entry is one line of text."""

    interfaces: frozenset[str]
    mounts: frozenset[str]
    firewall: frozenset[str]
    cgroups: frozenset[str]
    settings: frozenset[str]
    """Kernel settings that kubelet likes to change, with their values."""
    sockets: frozenset[str]
    processes: frozenset[str]
    """`pid@start time [node's cgroup] command`: two processes with one pid differ in start time."""

    def dump(self) -> str:
        """The snapshot as JSON."""
        return json.dumps({name: sorted(lines) for name, lines in dataclasses.asdict(self).items()}, indent=1)

    @staticmethod
    def parse(text: str) -> "Snapshot":
        """Read what `dump` wrote."""
        content: dict[str, list[str]] = json.loads(text)
        return Snapshot(**{name: frozenset(lines) for name, lines in content.items()})


@dataclass(frozen=True)
class Difference:
    """One line that is in one snapshot alone."""

    area: str
    """The field of `Snapshot`."""
    line: str
    added: bool
    """In the second snapshot alone; else it disappeared."""

    def __str__(self) -> str:
        """As in a diff: area, sign, line."""
        return f"{self.area}: {'+' if self.added else '-'} {self.line}"


def snapshot(path: str | None = None) -> Snapshot:
    """Look at the machine; `path`: where firewall programs are sought (default: PATH)."""
    return Snapshot(
        interfaces=frozenset(entry.name for entry in Path("/sys/class/net").iterdir()),
        mounts=frozenset(_mounts()),
        firewall=frozenset(_firewall(path)),
        cgroups=frozenset(cgroups.names()),
        settings=frozenset(_settings()),
        sockets=frozenset(f"{entry.kind} {entry.address}" for entry in procfs.listeners()),
        processes=frozenset(_processes()),
    )


def compare(before: Snapshot, after: Snapshot) -> list[Difference]:
    """Every line that appeared or disappeared."""
    differences = []
    for field in dataclasses.fields(Snapshot):
        first, second = getattr(before, field.name), getattr(after, field.name)
        differences += [Difference(field.name, line, added=True) for line in sorted(second - first)]
        differences += [Difference(field.name, line, added=False) for line in sorted(first - second)]
    return differences


def left_behind(differences: list[Difference], layout: Layout) -> list[Difference]:
    """Those that a node of this layout can have caused.

    Other programs of the machine come and go between two snapshots. Interfaces, firewall and kernel settings
    count always; a mount, cgroup, socket or process only if it shows the node's mark: its folder, its cgroup,
    or its ports. (Every process of the node is in its cgroup, the pods' too.)
    """
    root, ports = str(layout.root), {str(port) for port in layout.ports.named().values()}
    marks: dict[str, Callable[[str], bool]] = {
        "interfaces": lambda _: True,
        "firewall": lambda _: True,
        "settings": lambda _: True,
        "mounts": lambda line: root in line or layout.cgroup in line,
        "cgroups": lambda line: layout.cgroup in line,
        "sockets": lambda line: root in line or line.rpartition(":")[2] in ports,
        "processes": lambda line: root in line or f"[{layout.cgroup}]" in line,
    }
    return [
        entry
        for entry in differences
        if marks[entry.area](entry.line) and (entry.added or entry.area in ("interfaces", "firewall", "settings"))
    ]


def _mounts() -> list[str]:
    lines = []
    for line in (procfs.PROC / "self" / "mountinfo").read_text().splitlines():
        fields, _, source = line.partition(" - ")
        lines.append(f"{fields.split()[4]} {' '.join(source.split()[:2])}")
    return lines


def _firewall(path: str | None) -> list[str]:
    lines = []
    for command in FIREWALL_LISTINGS:
        program = shutil.which(command[0], path=path)
        if program is None:
            continue
        result = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
        # `:CHAIN policy [packets:bytes]` counts; comments carry the time.
        rules = [line.partition(" [")[0].strip() for line in result.stdout.splitlines() if not line.startswith("#")]
        lines += [f"{command[0]}: {number} {rule}" for number, rule in enumerate(rules) if rule]
    return lines


def _settings() -> list[str]:
    found = []
    for setting in KERNEL_SETTINGS:
        path = procfs.PROC / "sys" / setting
        if path.exists():
            found.append(f"{setting} = {path.read_text().strip()}")
    return found


def _processes() -> list[str]:
    lines = []
    for pid in procfs.pids():
        started, command = procfs.start_time(pid), procfs.command(pid)
        if started is None or not command or procfs.is_zombie(pid):
            continue
        node = NODE_CGROUP.search(procfs.cgroup(pid))
        lines.append(" ".join([f"{pid}@{started}", *([f"[{node[0]}]"] if node else []), command[:200]]))
    return lines
