"""Starts both ports in one process and one event loop, and ends them in order on SIGTERM."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from modelway_server import log
from modelway_server.admin import create_admin
from modelway_server.app import create_app
from modelway_server.model import load as load_model
from modelway_server.service import Phase, Service
from modelway_server.settings import Settings
from modelway_server.settings import load as load_settings
from modelway_server.startup import StartupError, sentence


class _Listener(uvicorn.Server):
    """One port. Signals are left to `serve`: the port of the health checks outlives the other."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                loop="asyncio",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=settings.keep_alive_seconds,
                timeout_graceful_shutdown=settings.shutdown_seconds,
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


def create_service(settings: Settings) -> Service:
    """Load and warm up the model; raises `StartupError`."""
    service = Service(settings, load_model(settings.model_dir))
    service.warm_up()
    return service


async def serve(settings: Settings, service: Service) -> None:
    """Serve until SIGTERM or SIGINT, then drain: not ready, last requests answered, both ports closed."""
    stop = asyncio.Event()
    hurry = asyncio.Event()

    def on_signal() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    public_socket = _bind("MODELWAY_PORT", settings.host, settings.port)
    admin_socket = _bind("MODELWAY_ADMIN_PORT", settings.host, settings.admin_port)
    public, admin = _Listener(create_app(service), settings), _Listener(create_admin(service), settings)
    async with asyncio.TaskGroup() as tasks:
        public_task = tasks.create_task(public.serve([public_socket]))
        tasks.create_task(admin.serve([admin_socket]))
        await public.listening.wait()
        await admin.listening.wait()
        service.phase = Phase.SERVING
        log.event("serving", model=service.name, version=service.version, digest=service.model.digest)
        await stop.wait()
        service.phase = Phase.DRAINING
        log.event("draining", seconds=settings.drain_seconds)
        # A second signal ends the wait.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(hurry.wait(), settings.drain_seconds)
        public.should_exit = True
        await public_task
        admin.should_exit = True
    log.event("stopped")


def _bind(variable: str, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise StartupError(
            sentence(variable, "cannot listen", f"{host}:{port} ({reason})", "a free port", "choose another")
        ) from None


def main() -> None:
    """Run the server with the settings of the environment; exit 1 with one sentence per reason if it cannot start."""
    log.configure()
    # As process 1 of a container, a process without a handler would ignore SIGTERM while the model loads.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        settings = load_settings(os.environ)
        asyncio.run(serve(settings, create_service(settings)))
    except StartupError as error:
        for reason in error.reasons:
            sys.stderr.write(reason + "\n")
        sys.exit(1)
    except BaseExceptionGroup as group:
        log.LOGGER.error("server failed", exc_info=group)
        sys.exit(1)
