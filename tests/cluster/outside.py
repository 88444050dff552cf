"""Load on the gateway from a network namespace of its own, beside the node's: no forwarder and no port in between."""

import itertools
import json
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from types import TracebackType
from typing import Any

from tests.cluster.generator import Config, Report
from tests.cluster.stack import PROJECT, Stack
from tools.node.layout import Layout
from tools.node.lifecycle import enter

_NUMBERS = itertools.count()
GATEWAY = "gateway.envoyproxy.io/owning-gateway-name=modelway"


class OutsideLoad:
    """Context manager that sends `row` to `path` at `rate` requests per second until it is left; then it has a report.

    The generator's namespace has one wire, to the node's, and reaches the gateway's Service by its address.
    """

    def __init__(self, stack: Stack, path: str, row: dict[str, Any], rate: float) -> None:
        self.report = Report()
        self._layout, self._path, self._row, self._rate = Layout(stack.state / "node"), path, row, rate
        query = ("get", "services", "-n", "modelway-gateway", "-l", GATEWAY)
        self._address = stack.kubectl(*query, "-o", "jsonpath={.items[0].spec.clusterIP}")

    def __enter__(self) -> "OutsideLoad":
        config = Config(f"http://{self._address}{self._path}", self._row, self._rate)
        command = ["unshare", "--net", sys.executable, "-m", "tests.cluster.generator", json.dumps(asdict(config))]
        self._process = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self._wire(next(_NUMBERS))
        except BaseException:
            self._process.kill()
            raise
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        said, _ = self._process.communicate()
        found = json.loads(said)
        self.report = Report(**{**found, "answers": Counter(found["answers"])})

    def _wire(self, number: int) -> None:
        """A pair of virtual cards, one end here and one in the node; both go with the generator's namespace."""
        name, network = f"load{number}", f"10.98.{number}"
        inside = ["nsenter", f"--target={self._process.pid}", "--net", "--"]
        # The new namespace is there once the process has become the generator.
        _run("sh", "-c", f'until [ "$(cat /proc/{self._process.pid}/comm)" != unshare ]; do :; done')
        _run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(self._process.pid))
        _run("ip", "link", "set", name, "netns", enter(self._layout, [])[2])
        for command in (f"ip address add {network}.1/30 dev {name}", f"ip link set {name} up"):
            _run(*enter(self._layout, command.split()))
        for command in (
            f"ip address add {network}.2/30 dev eth0",
            "ip link set lo up",
            "ip link set eth0 up",
            f"ip route add default via {network}.1",
        ):
            _run(*inside, *command.split())


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
