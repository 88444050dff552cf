"""The supervisor restarts what dies and stops in order."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tools.node.layout import Layout
from tools.node.plan import API, CLIENTS, RUNTIME, STORE, Plan, Process
from tools.node.supervisor import FIRST_BACKOFF_SECONDS, Runner
from tools.paths import PROJECT

RUN = """
import sys
from pathlib import Path
from tools.node.plan import Plan
from tools.node.supervisor import Supervisor
Supervisor(Plan.parse(Path(sys.argv[1]).read_text()), lambda text: print(text, flush=True)).run()
"""
SLEEP = ("/bin/sh", "-c", "exec sleep 60")
STUBBORN = ("/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")


class Running:
    """A supervisor without namespaces, in a process of its own."""

    def __init__(self, root: Path, *processes: Process) -> None:
        self.layout = Layout(root)
        self.layout.log.mkdir()
        self.layout.run.mkdir()
        self.layout.plan.write_text(Plan(str(root), "none", os.defpath, ("false",), processes).dump())
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(self.layout.plan)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
        )

    def record(self, name: str) -> dict[str, object]:
        try:
            records = json.loads(self.layout.processes.read_text())
        except FileNotFoundError:
            return {"state": "none", "restarts": -1, "last_exit": ""}
        return next(record for record in records if record["name"] == name)

    def stop(self) -> list[str]:
        """What it said."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=20)[0].splitlines()


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(*processes: Process) -> Running:
        started.append(Running(tmp_path, *processes))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.stop()


def until(probe: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not probe():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def test_a_process_that_dies_is_started_again_and_counted(supervise: Callable[..., Running]) -> None:
    running = supervise(Process("containerd", SLEEP))
    until(lambda: running.record("containerd")["state"] == "running")
    os.kill(int(str(running.record("containerd")["pid"])), signal.SIGKILL)
    until(lambda: running.record("containerd")["restarts"] == 1)

    record = running.record("containerd")
    assert (record["state"], record["last_exit"]) == ("running", "signal 9")


def test_a_process_waits_for_those_it_needs(supervise: Callable[..., Running], tmp_path: Path) -> None:
    path = tmp_path / "socket"
    running = supervise(Process("containerd", SLEEP, ready=f"unix:{path}"), Process("kubelet", SLEEP, ("containerd",)))
    until(lambda: running.record("containerd")["state"] == "starting")

    assert running.record("kubelet")["state"] == "waiting"
    server = subprocess.Popen(
        [sys.executable, "-c", f"import socket;s=socket.socket(1);s.bind('{path}');s.listen();input()"],
        stdin=subprocess.PIPE,
    )
    until(lambda: running.record("kubelet")["state"] == "running")
    server.communicate(b"\n")


def test_stages_stop_one_after_the_other(supervise: Callable[..., Running]) -> None:
    running = supervise(
        Process("etcd", SLEEP, stage=STORE),
        Process("containerd", SLEEP, stage=RUNTIME),
        Process("kube-apiserver", SLEEP, stage=API),
        Process("kubelet", SLEEP, stage=CLIENTS),
    )
    until(lambda: running.record("kubelet")["state"] == "running")
    said = running.stop()

    assert [line.partition(":")[0] for line in said if "ended" in line] == [
        "kubelet", "containerd", "kube-apiserver", "etcd",
    ]  # fmt: skip
    assert said[-1] == "stopped"


def test_what_ignores_the_stop_is_killed(supervise: Callable[..., Running]) -> None:
    running = supervise(Process("containerd", STUBBORN, stop_seconds=1))
    until(lambda: running.record("containerd")["state"] == "running")
    # The shell needs a moment to set its trap.
    time.sleep(0.2)
    said = running.stop()

    assert "containerd: killed after 1 s" in said
    assert "containerd: ended (signal 9)" in said


def test_a_program_that_cannot_start_is_said_and_tried_again(supervise: Callable[..., Running]) -> None:
    running = supervise(Process("containerd", ("/nowhere/containerd",)))
    until(lambda: running.record("containerd")["last_exit"] == "exit status 127")

    assert any("/nowhere/containerd" in line for line in running.stop())


def test_the_wait_between_restarts_doubles_up_to_half_a_minute() -> None:
    runner = Runner(Process("etcd", SLEEP))
    waits = []
    for _ in range(8):
        runner.started = time.monotonic()
        waits.append(runner.backoff_seconds)
        runner.ended(9)

    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_process_that_ran_for_long_starts_again_without_a_long_wait() -> None:
    runner = Runner(Process("etcd", SLEEP))
    runner.backoff_seconds = 30.0
    runner.started = time.monotonic() - 3600
    runner.ended(9)

    assert runner.due - time.monotonic() <= FIRST_BACKOFF_SECONDS
