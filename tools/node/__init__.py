"""A real one-node Kubernetes on this machine: one folder, one set of namespaces, one cgroup subtree.

    from tools.node import up, down, status, preflight

The processes run in own network, mount, PID, IPC and UTS namespaces below one supervisor; the kernel ends all of
them with it. Outside exist four listening sockets on 127.0.0.1 (gateway with and without TLS, registry, API server),
held by one forwarder, and the folder `node` in the state folder.
"""

from tools.node.checks import problems as _problems
from tools.node.cluster import NodeStatus, down, left_behind, status, up
from tools.node.layout import Layout
from tools.node.lifecycle import find_supervisor
from tools.problem import Problem

__all__ = ["NodeStatus", "down", "left_behind", "preflight", "status", "up"]


def preflight() -> list[Problem]:
    """Every reason against starting the node on this machine; empty: it can start, or runs."""
    layout = Layout.current()
    return _problems(layout, running=find_supervisor(layout) is not None)
