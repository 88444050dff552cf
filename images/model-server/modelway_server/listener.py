"""One port: a socket, and uvicorn with this server's limits on it."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from modelway_server.protocol import Limits, limited
from modelway_server.startup import StartupError, sentence


class Listener(uvicorn.Server):
    """One port. Signals are left to who serves: the port of the health checks outlives the other."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=limited(limits),
                ws="none",
                # Nothing here asks who the client is.
                proxy_headers=False,
                lifespan="off",
                log_config=None,
                # What strangers send is counted, not logged: one line per bad byte would fill the disk.
                log_level="error",
                access_log=False,
                server_header=False,
                timeout_keep_alive=limits.settings.keep_alive_seconds,
                timeout_graceful_shutdown=limits.settings.shutdown_seconds,
            )
        )
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signal handlers alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        self.listening.set()


def bind(variable: str, host: str, port: int, shared: bool = False) -> socket.socket:
    """A listening socket; with `shared` several processes may have one each. Raises `StartupError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048, reuse_port=shared)
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise StartupError(
            sentence(variable, "cannot listen", f"{host}:{port} ({reason})", "a free port", "choose another")
        ) from None
