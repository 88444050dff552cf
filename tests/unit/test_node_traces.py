"""Traces of the node are told from the machine's own life."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from tools.node import procfs, traces
from tools.node.layout import Layout, Ports
from tools.node.traces import Difference, Snapshot

LAYOUT = Layout(Path("/state/node"), Ports(18081, 15001, 16444, 18443))
NOTHING = frozenset[str]()
EMPTY = Snapshot(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)


def changed(**fields: set[str]) -> Snapshot:
    return Snapshot(**{name: frozenset(fields.get(name, ())) for name in Snapshot.__dataclass_fields__})


def test_equal_snapshots_have_no_difference() -> None:
    snapshot = changed(interfaces={"lo", "eth0"}, sockets={"tcp 127.0.0.1:22"})

    assert traces.compare(snapshot, Snapshot.parse(snapshot.dump())) == []


def test_every_line_that_came_or_went_is_a_difference() -> None:
    before, after = changed(interfaces={"lo", "eth0"}), changed(interfaces={"lo", "cni0"})

    assert [str(entry) for entry in traces.compare(before, after)] == ["interfaces: + cni0", "interfaces: - eth0"]


def test_each_kind_of_trace_of_the_node_is_found() -> None:
    left = changed(
        interfaces={"cni0"},
        mounts={"/state/node/data/kubelet/pods/1/volumes tmpfs tmpfs"},
        firewall={"nft: 3 chain KUBE-SERVICES"},
        cgroups={f"/sys/fs/cgroup/memory/{LAYOUT.cgroup}"},
        settings={"vm/overcommit_memory = 1"},
        sockets={"tcp 127.0.0.1:16444", "unix /state/node/run/sock"},
        processes={f"9@100 [{LAYOUT.cgroup}] /pause", "10@100 etcd --data-dir=/state/node/data/etcd"},
    )

    assert {entry.area for entry in traces.left_behind(traces.compare(EMPTY, left), LAYOUT)} == {
        "interfaces", "mounts", "firewall", "cgroups", "settings", "sockets", "processes",
    }  # fmt: skip
    assert len(traces.left_behind(traces.compare(EMPTY, left), LAYOUT)) == 9


def test_what_other_programs_do_meanwhile_is_not_the_nodes() -> None:
    others = changed(
        mounts={"/mnt/usb ext4 /dev/sdb1"},
        cgroups={"/sys/fs/cgroup/memory/user.slice", f"/sys/fs/cgroup/memory/{Layout(Path('/other')).cgroup}"},
        sockets={"tcp 127.0.0.1:8888"},
        processes={"77@100 vim"},
    )

    assert traces.left_behind(traces.compare(EMPTY, others), LAYOUT) == []
    assert traces.left_behind(traces.compare(others, EMPTY), LAYOUT) == []


def test_an_interface_that_disappeared_counts() -> None:
    (entry,) = traces.left_behind(traces.compare(changed(interfaces={"eth0"}), EMPTY), LAYOUT)

    assert entry == Difference("interfaces", "eth0", added=False)


def test_a_snapshot_sees_a_new_socket_and_a_new_process() -> None:
    before = traces.snapshot()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        started = procfs.start_time(child.pid)
        added = {(it.area, it.line) for it in traces.compare(before, traces.snapshot()) if it.added}
        child.communicate(b"\n")

    assert ("sockets", f"tcp 127.0.0.1:{port}") in added
    assert [line for area, line in added if area == "processes" and line.startswith(f"{child.pid}@{started} ")]


def test_pid_and_start_time_name_a_process() -> None:
    mine = procfs.start_time(os.getpid())

    assert mine is not None
    assert mine == procfs.start_time(os.getpid())
    assert procfs.start_time(2**22 + 1) is None


def test_addresses_of_both_families_are_read() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as four,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
    ):
        ports = four.getsockname()[1], six.getsockname()[1]
        found = {(entry.kind, entry.address) for entry in procfs.listeners() if entry.port in ports}

    assert found == {
        ("tcp", f"127.0.0.1:{ports[0]}"),
        ("tcp6", f"[0000:0000:0000:0000:0000:0000:0000:0001]:{ports[1]}"),
    }
