"""What stops the node is said before it starts, in one sentence each."""

import os
import shutil
import socket
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from tools.node import cgroups, checks
from tools.node.layout import Layout, Ports

GIB = 1024**3
Usage = namedtuple("Usage", "total used free")
MOUNTS_V1 = """\
29 28 0:25 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
30 28 0:26 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
31 28 0:27 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def layout(folder: Path) -> Layout:
    return Layout(folder, Ports(free_port(), free_port(), free_port(), free_port()))


def test_a_port_in_use_names_the_port_the_process_and_the_way_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        (problem,) = checks.ports(Layout(tmp_path, Ports(free_port(), free_port(), port, free_port())))

    text = str(problem)
    assert text.startswith(f"127.0.0.1:{port}: the port is in use: got pid {os.getpid()} (")
    assert text.endswith("allowed a free port; stop that process or set MODELWAY_API_PORT to another port.")


def test_a_port_in_use_on_all_addresses_counts(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        found = checks.ports(Layout(tmp_path, Ports(port, free_port(), free_port(), free_port())))

    assert [problem.where for problem in found] == [f"127.0.0.1:{port}"]


def test_one_port_for_two_forwards_is_refused(tmp_path: Path) -> None:
    port = free_port()
    found = checks.ports(Layout(tmp_path, Ports(port, port, free_port(), free_port())))

    assert [str(problem) for problem in found] == [
        f"MODELWAY_GATEWAY_PORT: the port is given twice: got {port} as for MODELWAY_REGISTRY_PORT, "
        "allowed a port of its own; change MODELWAY_GATEWAY_PORT.",
        f"MODELWAY_REGISTRY_PORT: the port is given twice: got {port} as for MODELWAY_GATEWAY_PORT, "
        "allowed a port of its own; change MODELWAY_REGISTRY_PORT.",
    ]


def test_little_disk_is_measured_where_the_data_will_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(100 * GIB, 0, 3 * GIB if path == tmp_path else 0))

    (problem,) = checks.disk(tmp_path / "not" / "yet")
    assert str(problem) == (
        f"{tmp_path}/not/yet: too little disk: got 3.0 GiB free, allowed at least 10 GiB; "
        "free some space or set MODELWAY_STATE_DIR to a larger disk."
    )


def test_little_memory_is_refused() -> None:
    assert [str(problem) for problem in checks.memory(2 * GIB)] == [
        "memory: too little for the node: got 2.0 GiB available, allowed at least 4 GiB; stop other programs."
    ]
    assert checks.memory(4 * GIB) == []


def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "ip" else f"/bin/{name}")

    assert [str(problem) for problem in checks.programs()] == [
        "ip: this program is missing: got nothing on PATH, allowed an executable; install the package iproute2."
    ]


def test_other_users_than_root_hear_it_with_everything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(checks, "available_memory", lambda: GIB)

    found = checks.problems(layout(tmp_path), running=False)
    assert [problem.where for problem in found] == ["node", "memory"]
    assert str(found[0]) == (
        "node: namespaces, mounts and cgroups need root: got user id 1000, allowed user id 0; "
        "run it as root, or use `make up STACK=local` (kind)."
    )


def test_another_system_than_linux_is_refused_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")

    assert [str(problem) for problem in checks.problems(layout(tmp_path), running=False)] == [
        "node: the one-node Kubernetes needs Linux: got darwin, allowed linux; "
        "use `make up STACK=local` (kind) on this machine."
    ]


def test_a_running_node_does_not_complain_about_its_own_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = Layout(tmp_path, Ports(server.getsockname()[1], free_port(), free_port(), free_port()))
        running = [problem.what for problem in checks.problems(taken, running=True)]
        stopped = [problem.what for problem in checks.problems(taken, running=False)]

    assert "the port is in use" not in running
    assert "the port is in use" in stopped


def test_missing_controllers_of_version_1_are_named() -> None:
    found = cgroups.hierarchies(MOUNTS_V1)

    assert [str(hierarchy.mount) for hierarchy in found] == [
        "/sys/fs/cgroup/cpu",
        "/sys/fs/cgroup/memory",
        "/sys/fs/cgroup/systemd",
    ]
    assert cgroups.missing_controllers(found) == ["cpuacct", "cpuset", "devices", "freezer", "pids"]


def test_version_2_needs_no_controllers_of_version_1(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")

    found = cgroups.hierarchies(f"35 24 0:30 / {tmp_path} rw - cgroup2 cgroup2 rw\n")
    assert cgroups.missing_controllers(found) == []
