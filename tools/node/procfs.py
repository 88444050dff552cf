"""What the kernel says about processes and sockets, read from /proc."""

from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TCP_LISTEN = "0A"
UNIX_LISTEN_FLAG = 0x00010000


@dataclass(frozen=True)
class Listener:
    """A listening socket."""

    kind: str
    """`tcp`, `tcp6`, `udp`, `udp6` or `unix`."""
    address: str
    """`127.0.0.1:6443`, or the path of a unix socket."""
    inode: str

    @property
    def port(self) -> int:
        """The port, 0 for a unix socket."""
        return 0 if self.kind == "unix" else int(self.address.rpartition(":")[2])


def start_time(pid: int) -> int | None:
    """When the process started, in clock ticks since boot; None: gone. Pid and start time name it for good."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The second field is the program's name in brackets and may itself hold blanks and brackets.
    return int(text.rpartition(")")[2].split()[19])


def is_zombie(pid: int) -> bool:
    """Whether it has ended and only waits for its parent to ask how."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def pids() -> list[int]:
    """All processes that this PID namespace sees."""
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdecimal()]


def command(pid: int) -> str:
    """The command line, or the program's name in brackets; empty: gone."""
    try:
        arguments = (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        return arguments or f"[{(PROC / str(pid) / 'comm').read_text().strip()}]"
    except OSError:
        return ""


def cgroup(pid: int) -> str:
    """The process's cgroups, one line per hierarchy; empty: gone."""
    try:
        return (PROC / str(pid) / "cgroup").read_text()
    except OSError:
        return ""


def namespace(pid: int | str, kind: str) -> str:
    """Identity of a namespace of the process (`pid`, `net`, `mnt`); empty: gone or not allowed."""
    try:
        return str((PROC / str(pid) / "ns" / kind).readlink())
    except OSError:
        return ""


def inner_pid(pid: int) -> int:
    """The pid that the process has in its innermost PID namespace; 0: gone."""
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[-1]) for line in lines if line.startswith("NSpid:")), 0)


def listeners() -> list[Listener]:
    """Every listening TCP and unix socket and every bound UDP socket of this network namespace."""
    found = []
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        for fields in _table(PROC / "net" / kind):
            if kind.startswith("udp") or fields[3] == TCP_LISTEN:
                found.append(Listener(kind, _address(fields[1]), fields[9]))
    for fields in _table(PROC / "net" / "unix"):
        if len(fields) > 7 and int(fields[3], 16) & UNIX_LISTEN_FLAG:
            found.append(Listener("unix", fields[7], fields[6]))
    return found


def holder(inode: str) -> str:
    """Who holds a socket: `pid 123 (nginx -g …)`, or `a process that cannot be seen`."""
    wanted = f"socket:[{inode}]"
    for pid in pids():
        try:
            if any(str(entry.readlink()) == wanted for entry in (PROC / str(pid) / "fd").iterdir()):
                return f"pid {pid} ({command(pid)[:80]})"
        except OSError:
            continue
    return "a process that cannot be seen"


def _table(path: Path) -> list[list[str]]:
    try:
        return [line.split() for line in path.read_text().splitlines()[1:]]
    except OSError:
        return []


def _address(text: str) -> str:
    address, _, port = text.partition(":")
    # Each 32-bit group is printed in the byte order of the machine.
    groups = [bytes.fromhex(address[start : start + 8])[::-1] for start in range(0, len(address), 8)]
    if len(groups) == 1:
        return ".".join(str(byte) for byte in groups[0]) + f":{int(port, 16)}"
    return "[" + b"".join(groups).hex(":", 2) + f"]:{int(port, 16)}"
