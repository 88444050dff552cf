"""The server as a process of its own, for tests; not part of the image."""

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

SERVER = Path(__file__).parent
DEADLINE_SECONDS = 20.0


@dataclass
class Running:
    """A server, its ports, and what they answer."""

    process: subprocess.Popen[bytes]
    port: int
    admin_port: int

    @property
    def url(self) -> str:
        """The public port."""
        return f"http://127.0.0.1:{self.port}"

    def ready(self) -> int:
        """Status of the readiness, 0 while nobody answers."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.admin_port}/readyz", trust_env=False).status_code
        except httpx.TransportError:
            return 0

    def wait_until(self, status: int) -> None:
        """Wait until the readiness has this status."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (last := self.ready()) != status:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"the readiness is {last}, not {status}")
            time.sleep(0.02)

    def metrics(self) -> str:
        """What a scrape shows."""
        return httpx.get(f"http://127.0.0.1:{self.admin_port}/metrics", trust_env=False).text

    def wait_for(self, line: str) -> None:
        """Wait until a scrape shows `line`."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while line not in self.metrics():
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {line!r} in the metrics")
            time.sleep(0.02)


def free_port() -> int:
    """A port that is free now and that the system gives no client: those begin at 32768."""
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def launch(directory: Path, **settings: str) -> Running:
    """Start a server over an artifact, with one worker unless `settings` (environment variables) say otherwise."""
    port, admin_port = free_port(), free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MODELWAY_")},
        "PYTHONPATH": str(SERVER),
        "MODELWAY_MODEL_DIR": str(directory),
        "MODELWAY_PORT": str(port),
        "MODELWAY_ADMIN_PORT": str(admin_port),
        "MODELWAY_WORKERS": "1",
        **settings,
    }
    command = [sys.executable, "-m", "modelway_server"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return Running(process, port, admin_port)


@contextmanager
def running(directory: Path, **settings: str) -> Iterator[Running]:
    """A server that is ready; it is killed in the end."""
    server = launch(directory, **settings)
    try:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while server.ready() != 200:
            if server.process.poll() is not None:
                raise RuntimeError(server.process.communicate()[1].decode())
            if time.monotonic() > deadline:
                raise TimeoutError("the server did not become ready")
            time.sleep(0.05)
        yield server
    finally:
        server.process.kill()
        server.process.communicate()
