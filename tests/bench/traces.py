"""What spans cost the model server: CPU per request and memory, off, on, and on with every request recorded.

`python -m tests.bench.traces [ROUNDS]`. The three servers take turns in one run, and a process of its own takes what they
send without reading it: on two threads of one core, work beside a server's makes its own longer.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[2] / "images/model-server"))

from server_process import Running, running
from server_testing import NAMES, write_artifact

ROUNDS, REQUESTS, PIPELINED = 15, 4000, 16
ROW = json.dumps(dict.fromkeys(NAMES, 1.0)).encode()
TICKS = os.sysconf("SC_CLK_TCK")


SINK = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    while True:
        with server.accept()[0] as connection:
            head = b""
            while b"\\r\\n\\r\\n" not in head:
                head += connection.recv(2**16)
            head, _, body = head.partition(b"\\r\\n\\r\\n")
            left = int(head.lower().partition(b"content-length: ")[2].split()[0]) - len(body)
            while left > 0:
                left -= len(connection.recv(min(left, 2**20)))
            connection.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\nconnection: close\\r\\n\\r\\n{}")
"""
"""Takes everything."""


@contextmanager
def sink() -> Iterator[str]:
    """URL of what takes spans while the block runs."""
    with subprocess.Popen([sys.executable, "-c", SINK], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def request(flags: str) -> bytes:
    """A prediction by a caller whose span has these flags."""
    return (
        b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
        b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-%b\r\ncontent-length: %d\r\n\r\n%b"
    ) % (flags.encode(), len(ROW), ROW)


def cpu_seconds(server: Running) -> float:
    """CPU that all threads of the server have used, in ticks of the system's clock."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def ask(server: Running, flags: str) -> float:
    """CPU microseconds of one request."""
    several, before = request(flags) * PIPELINED, cpu_seconds(server)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        for _ in range(REQUESTS // PIPELINED):
            connection.sendall(several)
            answers = b""
            while answers.count(b"HTTP/1.1 200 ") < PIPELINED or not answers.endswith(b"}"):
                answers += connection.recv(2**20)
    return (cpu_seconds(server) - before) / REQUESTS * 1e6


def memory_mib(server: Running) -> float:
    """Memory that is the server's."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def main() -> None:
    """Print the figures."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        model = write_artifact(Path(folder))
        url = stack.enter_context(sink())
        kinds = {"off": ({}, "01"), "not recorded": ({"url": url}, "00"), "recorded": ({"url": url}, "01")}
        servers = {
            name: stack.enter_context(running(model, **({"MODELWAY_TRACES_URL": own["url"]} if own else {})))
            for name, (own, _) in kinds.items()
        }
        found: dict[str, list[float]] = {name: [] for name in kinds}
        for number in range(rounds + 1):
            for name, (_, flags) in kinds.items():
                micros = ask(servers[name], flags)
                if number:
                    found[name].append(micros)
        off, resident = median(found["off"]), memory_mib(servers["off"])
        for name, values in found.items():
            more = f"{median(values) - off:+.1f} µs, {median(values) / off:.3f} of off"
            print(f"{name:13} {median(values):6.1f} µs CPU a request ({more}), ", end="")
            print(f"{memory_mib(servers[name]):.1f} MiB ({memory_mib(servers[name]) - resident:+.1f})")


if __name__ == "__main__":
    main()
