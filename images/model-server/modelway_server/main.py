"""Starts the server, in one process or several, and ends it in order on SIGTERM."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence

import uvloop

from modelway_server import log
from modelway_server.admin import create_admin
from modelway_server.app import create_app
from modelway_server.cpus import cgroup_limit, cpu_limit
from modelway_server.listener import Listener, bind
from modelway_server.protocol import Limits
from modelway_server.replay import SeenIds
from modelway_server.runtimes import load as load_model
from modelway_server.service import Phase, Service
from modelway_server.settings import Settings
from modelway_server.settings import load as load_settings
from modelway_server.startup import StartupError
from modelway_server.subjects import SubjectMemory
from modelway_server.workers import Supervisor

UPKEEP_SECONDS = 1.0
GC_THRESHOLDS = 20_000, 20, 20
"""A request leaves no cycles, so the collector need not come by every 700 objects."""


def create_service(
    settings: Settings, seen: SeenIds | None = None, known: SubjectMemory | None = None, workers: int = 1
) -> Service:
    """Load and warm up the model; raises `StartupError`. Workers share `seen` of feedback and `known` of subjects."""
    threads = max(1, int(cpu_limit() / workers))
    model = load_model(settings.model_dir, settings.allow_pickle, threads)
    service = Service(settings, model, seen or _seen_ids(settings), known or _known_subjects(settings, alone=True))
    service.warm_up()
    return service


def _seen_ids(settings: Settings) -> SeenIds | None:
    return SeenIds(settings.feedback_expiry_seconds) if settings.feedback_key_file else None


def _known_subjects(settings: Settings, alone: bool) -> SubjectMemory | None:
    return SubjectMemory(alone=alone) if settings.subjects else None


async def serve(
    service: Service, public_socket: socket.socket, admin_socket: socket.socket | None, upkeep: Callable[[], None]
) -> None:
    """Serve until SIGTERM or SIGINT, then drain: not ready, last requests answered, both ports closed.

    `upkeep` is called every second, unless the model hangs. Without an admin socket another process answers for the
    health.
    """
    settings, stop, hurry = service.settings, asyncio.Event(), asyncio.Event()

    def on_signal() -> None:
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    limits = Limits(settings, service.metrics.refused, service.request_ids)
    public = Listener(create_app(service), limits)
    listeners = [(public, public_socket)]
    if admin_socket is not None:
        app = create_admin(service.metrics.registry, lambda: service.phase, service.keep_up, service.hangs)
        listeners.append((Listener(app, limits), admin_socket))
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(listener.serve([held])) for listener, held in listeners]
        for listener, _ in listeners:
            await listener.listening.wait()
        # What is there now stays: the garbage collector need not look at it again and again.
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        service.phase = Phase.SERVING
        keeping = tasks.create_task(_keep_up(service, upkeep))
        log.event("serving", model=service.name, version=service.version, digest=service.model.digest)
        await stop.wait()
        service.phase = Phase.DRAINING
        log.event("draining", seconds=settings.drain_seconds)
        # A second signal ends the wait.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(hurry.wait(), settings.drain_seconds)
        public.should_exit = True
        await running[0]
        keeping.cancel()
        if service.tracer is not None:
            # Health checks are answered meanwhile.
            await asyncio.to_thread(service.tracer.stop)
        service.keep_up()
        for listener, _ in listeners[1:]:
            listener.should_exit = True
    log.event("stopped")


async def _keep_up(service: Service, upkeep: Callable[[], None]) -> None:
    while True:
        service.keep_up()
        if not service.hangs():
            upkeep()
        await asyncio.sleep(UPKEEP_SECONDS)


def _run_alone(settings: Settings) -> None:
    service = create_service(settings)
    service.describe_alone()
    public = bind("MODELWAY_PORT", settings.host, settings.port)
    admin = bind("MODELWAY_ADMIN_PORT", settings.host, settings.admin_port)
    _run(service, public, admin, lambda: None)


def _run(service: Service, public: socket.socket, admin: socket.socket | None, upkeep: Callable[[], None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(service, public, admin, upkeep))


def _run_workers(settings: Settings, count: int) -> None:
    seen, known = _seen_ids(settings), _known_subjects(settings, alone=False)

    def work(beat: Callable[[], None]) -> None:
        service = create_service(settings, seen, known, count)
        public = bind("MODELWAY_PORT", settings.host, settings.port, shared=True)
        _run(service, public, None, beat)

    # Taken for a moment by the parent alone: with another server on the port the workers would share it.
    bind("MODELWAY_PORT", settings.host, settings.port).close()
    admin = bind("MODELWAY_ADMIN_PORT", settings.host, settings.admin_port)
    asyncio.run(Supervisor(settings, count, guarded(work)).serve(admin))


def guarded(work: Callable[[Callable[[], None]], None]) -> Callable[[Callable[[], None]], int]:
    """`work` with its failures logged or written out, as an exit status."""

    def run(beat: Callable[[], None]) -> int:
        try:
            work(beat)
        except StartupError as error:
            _write(error.reasons)
        except BaseExceptionGroup as group:
            log.LOGGER.error("server failed", exc_info=group)
        else:
            return 0
        return 1

    return run


def _write(reasons: Sequence[str]) -> None:
    for reason in reasons:
        sys.stderr.write(reason + "\n")


def main() -> None:
    """Run the server with the settings of the environment; exit 1 with one sentence per reason if it cannot start."""
    log.configure()
    # As process 1 of a container, a process without a handler would ignore SIGTERM while the model loads.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

    def run(_beat: Callable[[], None]) -> None:
        settings = load_settings(os.environ)
        workers = settings.workers or max(1, int(cgroup_limit() or 1))
        if workers == 1:
            _run_alone(settings)
        else:
            _run_workers(settings, workers)

    sys.exit(guarded(run)(lambda: None))
