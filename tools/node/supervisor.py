"""The first process of the node's PID namespace: starts what the plan says, restarts what dies, stops in order.

The kernel ends every process of a PID namespace with its first one. So whatever kills the supervisor also removes
the pods, and with them the mount and network namespaces and all that is in them: nothing can be left behind.
`node up` starts it again. Run by `node up` as `python -m tools.node.supervisor PLAN`, inside new namespaces.
"""

import contextlib
import fcntl
import http.client
import json
import os
import resource
import selectors
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tools.node import cgroups, namespaces, procfs
from tools.node import layout as at
from tools.node.files import write
from tools.node.layout import Layout
from tools.node.plan import API, CLIENTS, RUNTIME, STORE, Plan, Process

FIRST_BACKOFF_SECONDS = 0.5
LONGEST_BACKOFF_SECONDS = 30.0
HEALTHY_SECONDS = 60.0
"""A process that ran this long starts again at once, with the backoff forgotten."""
PROBE_SECONDS = 0.1
HOUSEKEEPING_SECONDS = 60.0
LOG_LIMIT_BYTES = 64 * 1024 * 1024
CONTAINER_GRACE_SECONDS = 8.0


class Runner:
    """One process of the plan and what became of it."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.child: subprocess.Popen[bytes] | None = None
        self.answers = False
        self.restarts = -1
        self.started = 0.0
        self.due = 0.0
        self.backoff_seconds = FIRST_BACKOFF_SECONDS
        self.last_exit = ""

    def start(self, log: Path, path: str) -> None:
        """Start it in a session of its own, with its output appended to its log."""
        with log.open("ab") as output:
            self.child = subprocess.Popen(
                self.process.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": path, "HOME": "/run", "LANG": "C.UTF-8"},
                start_new_session=True,
                pass_fds=self.process.descriptors,
            )
        self.started = time.monotonic()
        self.restarts += 1
        self.answers = not self.process.ready

    def ended(self, status: int) -> None:
        """Note that it died and when it may start again."""
        self.child = None
        self.answers = False
        code = os.waitstatus_to_exitcode(status)
        self.last_exit = f"signal {-code}" if code < 0 else f"exit status {code}"
        now = time.monotonic()
        if now - self.started > HEALTHY_SECONDS:
            self.backoff_seconds = FIRST_BACKOFF_SECONDS
        self.due = now + self.backoff_seconds
        self.backoff_seconds = min(2 * self.backoff_seconds, LONGEST_BACKOFF_SECONDS)

    def probe(self) -> None:
        """See whether it accepts connections by now."""
        if self.child and not self.answers:
            self.answers = _answers(self.process.ready)

    def record(self) -> dict[str, object]:
        """What `node status` shows; the pid is that of the node's PID namespace."""
        state = "waiting" if self.child is None else "running" if self.answers else "starting"
        pid = self.child.pid if self.child else 0
        return {
            "name": self.process.name,
            "state": state,
            "pid": pid,
            "start_time": procfs.start_time(pid) if pid else None,
            "restarts": max(self.restarts, 0),
            "last_exit": self.last_exit,
        }


class Supervisor:
    """Runs a plan until it is told to stop."""

    def __init__(self, plan: Plan, say: Callable[[str], None]) -> None:
        self.plan = plan
        self.layout = Layout(Path(plan.root))
        self.runners = {process.name: Runner(process) for process in plan.processes}
        self.say = say
        self.stopping = False
        self._recorded = ""
        self._housekeeping = 0.0
        self._selector = selectors.DefaultSelector()
        self._listen_to_signals()

    def _listen_to_signals(self) -> None:
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer)
        self._selector.register(reader, selectors.EVENT_READ)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)

    def _on_stop(self, *_: object) -> None:
        self.stopping = True

    def run(self) -> None:
        """Keep everything running; returns after an orderly stop."""
        while not self.stopping:
            self._start_due()
            for runner in self.runners.values():
                runner.probe()
            self._keep_house()
            self._record()
            self._sleep(self._next_event_seconds())
            self._reap()
        self.say("stopping")
        self._stop(CLIENTS)
        self._stop_containers()
        for stage in (RUNTIME, API, STORE):
            self._stop(stage)
        self.say("stopped")

    def _start_due(self) -> None:
        now = time.monotonic()
        for runner in self.runners.values():
            if runner.child or now < runner.due:
                continue
            if all(self.runners[name].answers for name in runner.process.after):
                try:
                    runner.start(self.layout.log_file(runner.process.name), self.plan.path)
                except OSError as error:
                    self.say(f"{runner.process.name}: cannot be started: {error}")
                    runner.ended(127 << 8)
                    continue
                self.say(f"{runner.process.name}: started (restarts: {runner.restarts})")

    def _next_event_seconds(self) -> float:
        if any(runner.child and not runner.answers for runner in self.runners.values()):
            return PROBE_SECONDS
        now = time.monotonic()
        waiting = [runner.due - now for runner in self.runners.values() if not runner.child]
        return max(min([HOUSEKEEPING_SECONDS, *waiting]), PROBE_SECONDS)

    def _sleep(self, seconds: float) -> None:
        """Until a signal arrives, at most so long."""
        for key, _ in self._selector.select(seconds):
            with contextlib.suppress(BlockingIOError):
                os.read(key.fd, 4096)

    def _reap(self) -> None:
        """Collect dead children, those inherited from others too: this is the namespace's first process."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for runner in self.runners.values():
                if runner.child and runner.child.pid == pid:
                    runner.child.returncode = os.waitstatus_to_exitcode(status)
                    runner.ended(status)
                    self.say(f"{runner.process.name}: ended ({runner.last_exit})")

    def _record(self) -> None:
        records = json.dumps([runner.record() for runner in self.runners.values()], indent=1)
        if records != self._recorded:
            write(self.layout.processes, records)
            self._recorded = records

    def _keep_house(self) -> None:
        now = time.monotonic()
        if now < self._housekeeping:
            return
        self._housekeeping = now + HOUSEKEEPING_SECONDS
        for log in self.layout.log.glob("*.log"):
            if log.stat().st_size > LOG_LIMIT_BYTES:
                # Its writer holds it open for appending, so it goes on at the new end.
                os.truncate(log, 0)

    def _stop(self, stage: int) -> None:
        runners = [runner for runner in self.runners.values() if runner.process.stage == stage and runner.child]
        for runner in runners:
            _signal(runner, signal.SIGTERM)
        for runner in sorted(runners, key=lambda runner: runner.process.stop_seconds):
            self._await_end(runner, time.monotonic() + runner.process.stop_seconds)
        for runner in runners:
            if runner.child:
                self.say(f"{runner.process.name}: killed after {runner.process.stop_seconds} s")
                _signal(runner, signal.SIGKILL)
                self._await_end(runner, time.monotonic() + 1.0)
        self._record()

    def _await_end(self, runner: Runner, end: float) -> None:
        while runner.child and (left := end - time.monotonic()) > 0:
            self._sleep(left)
            self._reap()

    def _stop_containers(self) -> None:
        """End every container as kubelet would: SIGTERM, a grace period, SIGKILL."""
        pids = self._containers()
        _kill_all(pids, signal.SIGTERM)
        left = _await_all(pids, time.monotonic() + CONTAINER_GRACE_SECONDS)
        if left:
            self.say(f"{len(left)} containers killed after {CONTAINER_GRACE_SECONDS:.0f} s")
            _kill_all(left, signal.SIGKILL)
            _await_all(left, time.monotonic() + 2.0)

    def _containers(self) -> list[int]:
        if not self.runners["containerd"].answers:
            return []
        try:
            listing = subprocess.run(
                [*self.plan.containerctl, "tasks", "ls"],
                capture_output=True, text=True, check=True, timeout=5, env={"PATH": self.plan.path},
            )  # fmt: skip
        except (subprocess.SubprocessError, OSError) as error:
            self.say(f"the containers cannot be listed: {error}")
            return []
        rows = [line.split() for line in listing.stdout.splitlines()[1:]]
        return [int(row[1]) for row in rows if len(row) > 2 and row[2] == "RUNNING"]


def _answers(condition: str) -> bool:
    kind, _, where = condition.partition(":")
    return _api_ready(Path(where)) if kind == "readyz" else _accepts(kind, where)


def _api_ready(pki: Path) -> bool:
    """Ready includes that the built-in roles exist: the controller manager gives up without its own."""
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "kube-scheduler.crt", pki / "kube-scheduler.key")
    connection = http.client.HTTPSConnection("127.0.0.1", at.API_PORT, timeout=1.0, context=context)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False


def _accepts(kind: str, where: str) -> bool:
    family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
    with socket.socket(family) as probe:
        probe.settimeout(0.5)
        try:
            probe.connect(where if kind == "unix" else ("127.0.0.1", int(where)))
        except OSError:
            return False
    return True


def _signal(runner: Runner, number: signal.Signals) -> None:
    if runner.child:
        with contextlib.suppress(ProcessLookupError):
            os.kill(runner.child.pid, number)


def _kill_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _await_all(pids: Iterable[int], end: float) -> list[int]:
    """Wait until all have ended; returns those that have not at `end`."""
    left = {}
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            left[os.pidfd_open(pid)] = pid
    with selectors.DefaultSelector() as selector:
        for descriptor in left:
            selector.register(descriptor, selectors.EVENT_READ)
        while left and (seconds := end - time.monotonic()) > 0:
            for key, _ in selector.select(seconds):
                selector.unregister(key.fd)
                os.close(key.fd)
                del left[key.fd]
    for descriptor in left:
        os.close(descriptor)
    return list(left.values())


def _claim(layout: Layout) -> int:
    """Lock the pid file for this process's whole life and say in it who that is outside."""
    descriptor = os.open(layout.supervisor, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    # Waits: a reader that asks whether anybody lives holds a shared lock for a moment.
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    # The file system /proc is still the one from outside, so this is the outer pid.
    pid = int(Path("/proc/self").readlink().name)
    content = json.dumps({"pid": pid, "start_time": procfs.start_time(pid), "started_at": time.time()})
    os.ftruncate(descriptor, 0)
    os.write(descriptor, content.encode())
    return descriptor


def main(plan_file: str) -> int:
    """Run the plan in this file."""
    plan = Plan.parse(Path(plan_file).read_text())
    layout = Layout(Path(plan.root))

    def say(text: str) -> None:
        print(time.strftime("%Y-%m-%dT%H:%M:%S"), text, flush=True)

    _claim(layout)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.umask(0o022)
    try:
        cgroups.join(plan.cgroup)
        namespaces.enter(layout.root)
    except subprocess.CalledProcessError as error:
        say(f"cannot set up the namespaces: {' '.join(error.cmd)}: {error.stderr.strip()}")
        return 1
    except OSError as error:
        say(f"cannot set up the namespaces: {error}")
        return 1
    Supervisor(plan, say).run()
    return 0


if __name__ == "__main__":
    if os.getpid() != 1:
        raise SystemExit("tools.node.supervisor is started by `python -m tools.node up`, in namespaces of its own.")
    sys.exit(main(sys.argv[1]))
