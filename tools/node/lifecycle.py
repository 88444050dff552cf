"""Starting, judging and stopping the one-node Kubernetes."""

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.node import cgroups, checks, configs, pki, plan, procfs, render, traces
from tools.node.files import folder, write
from tools.node.layout import Layout
from tools.paths import PROJECT
from tools.problem import Problem, ProblemError

STOP_SECONDS = 60.0
START_SECONDS = 20.0
CLAIM_SECONDS = 5.0
NAMESPACES = ("--net", "--mount", "--pid", "--ipc", "--uts")
"""Namespaces of the node. No cgroup namespace: the subtree is named in kubelet's configuration instead."""
BACKLOG = 4096
"""Connections that may wait to be accepted by the forwarder; the kernel caps it at net.core.somaxconn."""


@dataclass(frozen=True)
class Supervisor:
    """The running supervisor, as seen from outside."""

    pid: int
    started_at: float
    """Seconds since the epoch."""


def find_supervisor(layout: Layout) -> Supervisor | None:
    """The living supervisor of this layout: it holds the lock on its pid file, which no stale pid can."""
    try:
        descriptor = os.open(layout.supervisor, os.O_RDONLY)
    except (FileNotFoundError, PermissionError):
        return None
    end = time.monotonic() + CLAIM_SECONDS
    with contextlib.closing(os.fdopen(descriptor)):
        while time.monotonic() < end:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                if text := os.pread(descriptor, 4096, 0):
                    content = json.loads(text)
                    return Supervisor(content["pid"], content["started_at"])
                # Between its lock and its only write lie microseconds; nothing tells that they are over.
                time.sleep(0.01)
            else:
                return None
    return None


@contextlib.contextmanager
def alone(layout: Layout) -> Iterator[None]:
    """Refuse a second `up` or `down` of the same node at the same time."""
    folder(layout.root)
    with (layout.root / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ProblemError(
                [Problem(str(layout.root), "another `node up` or `node down` is at work", "a held lock",
                         "one at a time", "wait for it to end")]
            ) from None  # fmt: skip
        yield


def listen(layout: Layout) -> dict[str, socket.socket]:
    """Open the sockets outside; raises `ProblemError` where a port was taken since `preflight` looked."""
    sockets: dict[str, socket.socket] = {}
    ports = (layout.ports.gateway, layout.ports.registry, layout.ports.api, layout.ports.gateway_tls)
    try:
        for name, port in zip(configs.FORWARDS, ports, strict=True):
            opened = sockets[name] = socket.socket()
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(("127.0.0.1", port))
            opened.listen(BACKLOG)
    except OSError:
        for opened in sockets.values():
            opened.close()
        raise ProblemError(checks.ports(layout)) from None
    return sockets


def intended(
    layout: Layout, programs: Mapping[str, Path], path: str, descriptors: Mapping[str, int] | None = None
) -> tuple[plan.Plan, dict[str, str]]:
    """What would run now: plan and configuration files. Without descriptors it is for comparing, not for running."""
    numbers = descriptors or dict.fromkeys(configs.FORWARDS, 0)
    return plan.make(layout, programs, path, tuple(numbers.values())), render.files(layout, numbers)


def outdated(layout: Layout, programs: Mapping[str, Path], path: str) -> str:
    """Why a running node should be restarted; empty: it is as it would be started now."""
    note = layout.run / "fingerprint"
    if not note.exists() or note.read_text() != render.fingerprint(layout.ports, *intended(layout, programs, path)):
        return "its programs or settings changed"
    if stale := pki.stale(layout.pki):
        return f"certificates must be renewed: {', '.join(stale)}"
    return ""


def start(layout: Layout, programs: Mapping[str, Path], path: str) -> Supervisor:
    """Start the supervisor in new namespaces; raises `ProblemError` if it does not get to its work."""
    clean(layout)
    sockets = listen(layout)
    try:
        descriptors = {name: opened.fileno() for name, opened in sockets.items()}
        wanted, texts = intended(layout, programs, path, descriptors)
        render.render(layout, programs, texts)
        write(layout.plan, wanted.dump())
        write(layout.run / "fingerprint", render.fingerprint(layout.ports, *intended(layout, programs, path)))
        cgroups.create(layout.cgroup)
        _rotate_logs(layout)
        child = _unshare(layout, list(descriptors.values()))
    finally:
        for opened in sockets.values():
            opened.close()
    return _await_start(layout, child)


def _unshare(layout: Layout, descriptors: list[int]) -> "subprocess.Popen[bytes]":
    # --kill-child: whoever kills the waiting `unshare` process must not orphan the namespaces.
    command = ["unshare", *NAMESPACES, "--fork", "--kill-child", "--propagation", "private",
               sys.executable, "-P", "-m", "tools.node.supervisor", str(layout.plan)]  # fmt: skip
    environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(PROJECT), "LANG": "C.UTF-8"}
    with layout.log_file("supervisor").open("ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=environment,
            start_new_session=True, pass_fds=descriptors,
        )  # fmt: skip


def _await_start(layout: Layout, child: "subprocess.Popen[bytes]") -> Supervisor:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        found = find_supervisor(layout)
        if found and layout.processes.exists():
            # The node outlives this command on purpose: tell subprocess that nobody will wait for it.
            child.returncode = 0
            return found
        if child.poll() is not None:
            break
        time.sleep(0.02)
    last = tail(layout.log_file("supervisor"), 1)
    raise ProblemError(
        [Problem("node supervisor", "it did not start", last or "no word in its log", "a running supervisor",
                 f"see {layout.log_file('supervisor')}")]
    )  # fmt: skip


def stop(layout: Layout) -> float:
    """Stop the node in order and take away what it left; returns how many seconds that took."""
    begun = time.monotonic()
    found = find_supervisor(layout)
    if found:
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(found.pid)
            with contextlib.closing(os.fdopen(descriptor)):
                signal.pidfd_send_signal(descriptor, signal.SIGTERM)
                if not _ended(descriptor, STOP_SECONDS):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    _ended(descriptor, 5.0)
    clean(layout)
    return time.monotonic() - begun


def _ended(descriptor: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def _await_last_process(layout: Layout) -> None:
    """A killed supervisor gives up its lock at once, and is gone only after the kernel has ended all others."""
    try:
        content = json.loads(layout.supervisor.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return
    if procfs.start_time(content["pid"]) != content["start_time"]:
        return
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(content["pid"])
        with contextlib.closing(os.fdopen(descriptor)):
            _ended(descriptor, STOP_SECONDS)


def clean(layout: Layout) -> None:
    """Remove what a stopped or killed node leaves outside its namespaces; those ended with its last process."""
    _await_last_process(layout)
    if left := cgroups.remove(layout.cgroup):
        raise ProblemError(
            [Problem(str(left[0]), "the node's cgroup cannot be removed", "processes that do not end",
                     "an empty cgroup", "run `node down` again")]
        )  # fmt: skip
    for path in (layout.supervisor, layout.processes, layout.plan):
        path.unlink(missing_ok=True)


def check(layout: Layout, path: str | None) -> list[traces.Difference]:
    """What the last run left on the machine, against the snapshot that its `up` took."""
    note = layout.root / "before.json"
    before = traces.Snapshot.parse(note.read_text()) if note.exists() else traces.snapshot(path)
    return traces.left_behind(traces.compare(before, traces.snapshot(path)), layout)


def processes(layout: Layout, supervisor: Supervisor) -> list[dict[str, object]]:
    """The supervisor's record of its processes, each with its pid outside (`outer_pid`, 0 where it does not run)."""
    try:
        records: list[dict[str, object]] = json.loads(layout.processes.read_text())
    except FileNotFoundError:
        return []
    inside = procfs.namespace(supervisor.pid, "pid")
    outer = {procfs.inner_pid(pid): pid for pid in procfs.pids() if procfs.namespace(pid, "pid") == inside}
    return [record | {"outer_pid": outer.get(int(str(record["pid"])), 0)} for record in records]


def enter(layout: Layout, command: list[str]) -> list[str]:
    """The command line that runs `command` inside the node's namespaces; raises `ProblemError` where it is down."""
    found = find_supervisor(layout)
    if found is None:
        raise ProblemError(
            [Problem("node", "it does not run", "no supervisor", "a running node", "run `modelway node up`")]
        )
    search = plan.Plan.parse(layout.plan.read_text()).path
    # Entering a mount namespace moves to its root; go back to the caller's folder.
    return ["nsenter", "--target", str(found.pid), "--net", "--mount", "--pid", "--ipc", "--uts", "--",
            "env", f"--chdir={Path.cwd()}", f"PATH={search}", *command]  # fmt: skip


def tail(path: Path, lines: int) -> str:
    """The last lines of a log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def refuse(layout: Layout, *, running: bool) -> None:
    """Raise `ProblemError` with every reason against starting here."""
    if found := checks.problems(layout, running=running):
        raise ProblemError(found)


def refuse_unless_root() -> None:
    """Raise `ProblemError` for everybody but root."""
    if os.geteuid() != 0:
        raise ProblemError([checks.root_needed()])


def _rotate_logs(layout: Layout) -> None:
    for log in layout.log.glob("*.log"):
        log.replace(log.with_suffix(".log.old"))
