"""Several processes that share one port: a parent that starts them, replaces them and answers for all of them.

The kernel spreads connections over the workers (`SO_REUSEPORT`). The parent holds the admin port and loads no model.
"""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from prometheus_client import CollectorRegistry, Counter, Metric, disable_created_metrics, values
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from modelway_server import artifact, log
from modelway_server.admin import create_admin
from modelway_server.drift import read_reference
from modelway_server.drift_window import DriftWindow
from modelway_server.listener import Listener
from modelway_server.protocol import Limits
from modelway_server.service import Phase, request_ids
from modelway_server.settings import Settings
from modelway_server.startup import StartupError, sentence

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
HANG_SECONDS = 30.0
"""A worker that gives no sign for so long is killed and replaced."""
MAX_DELAY_SECONDS = 30.0
"""Longest wait before a worker that keeps dying is started again."""
_SINGLE = ("process_start_time_seconds", "process_max_fds")

Work = Callable[[Callable[[], None]], int]
"""Serves until SIGTERM, calls its argument every second from when it is ready, unless its model hangs, and returns an
exit status."""


@dataclass
class _Worker:
    pid: int
    pipe: socket.socket
    started: float
    ready: bool = False


class Supervisor:
    """The parent. `work` is what each of the `count` workers runs."""

    def __init__(self, settings: Settings, count: int, work: Work) -> None:
        self._settings = settings
        self._count = count
        self._work = work
        self._workers: dict[int, _Worker] = {}
        self._stop = asyncio.Event()
        self._first_is_ready = asyncio.Event()
        self._failed = False
        self._registry = CollectorRegistry()
        self._restarts = self._collect()
        limits = Limits(settings, lambda _reason: None, request_ids())
        self._listener = Listener(create_admin(self._registry, self._phase), limits)

    def _collect(self) -> Counter:
        """Register what the workers' and the parent's metrics are; returns the counter of restarts."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        folder, registry = self._settings.model_dir, self._registry
        manifest = artifact.read_manifest(folder)
        reference = read_reference(folder, manifest, artifact.read_signature(folder, manifest))
        labels = (self._settings.model or manifest.name, self._settings.version or manifest.version)
        # Only now: what was found wrong above leaves nothing behind.
        self._folder = _metrics_folder()
        workers = MultiProcessCollector(registry, path=str(self._folder))  # type: ignore[no-untyped-call]
        if reference is not None:
            registry.register(DriftWindow(reference, labels, workers.collect))
        registry.register(_Processes(lambda: [os.getpid(), *(worker.pid for worker in self._workers.values())]))
        PlatformCollector(registry=registry)
        names = ("model", "version")
        restarts = Counter("modelway_worker_restarts", "Workers that died and were replaced.", names, registry=registry)
        return restarts.labels(*labels)

    async def serve(self, admin: socket.socket) -> None:
        """Start the workers and keep them until SIGTERM or SIGINT; exit 1 if the first cannot start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, number)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listener.serve([admin]))
                await self._listener.listening.wait()
                await asyncio.gather(*(self._keep(index) for index in range(self._count)))
                self._listener.should_exit = True
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._failed:
            sys.exit(1)

    def _end(self, number: int) -> None:
        """Let all workers drain; the second time, hurry."""
        self._stop.set()
        self._first_is_ready.set()
        for worker in self._workers.values():
            os.kill(worker.pid, number)

    def _phase(self) -> Phase:
        if self._stop.is_set():
            return Phase.DRAINING
        ready = sum(worker.ready for worker in self._workers.values())
        return Phase.SERVING if ready == self._count else Phase.STARTING

    async def _keep(self, index: int) -> None:
        """Start one worker, and again whenever it ends, until the server is to stop."""
        deaths = 0
        if index > 0:
            # What stops the first would stop all, and is to be said once.
            await self._first_is_ready.wait()
        while not self._stop.is_set():
            worker = self._workers[index] = self._start(index)
            await self._watch(index, worker)
            del self._workers[index]
            worker.pipe.close()
            # It has closed its end of the pipe by ending, so this does not wait.
            status = os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
            if self._stop.is_set():
                return
            if not self._first_is_ready.is_set():
                self._failed = True
                self._end(signal.SIGTERM)
                return
            self._restarts.inc()
            log.event("worker died", index=index, status=status)
            deaths = 1 if time.monotonic() - worker.started > MAX_DELAY_SECONDS else deaths + 1
            delay = 0.0 if deaths == 1 else min(MAX_DELAY_SECONDS, 0.1 * 2**deaths)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), delay)

    async def _watch(self, index: int, worker: _Worker) -> None:
        """Return when the worker has ended; one that hangs is killed."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(HANG_SECONDS if worker.ready else None):
                    if not await loop.sock_recv(worker.pipe, 4096):
                        return
                worker.ready = True
                self._first_is_ready.set()
            except TimeoutError:
                log.event("worker hangs", index=index, seconds=HANG_SECONDS)
                os.kill(worker.pid, signal.SIGKILL)
            except OSError:
                return

    def _start(self, index: int) -> _Worker:
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            # With its own copy of the parent's end it would never notice that the parent is gone.
            ours.close()
            self._become_worker(index, theirs)
        theirs.close()
        ours.setblocking(False)
        return _Worker(pid, ours, time.monotonic())

    def _become_worker(self, index: int, pipe: socket.socket) -> NoReturn:
        """The child's whole life: it never returns into the parent's event loop."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: os._exit(0))
            # A terminal's Ctrl-C is for the parent, which passes it on.
            os.setpgid(0, 0)
            self._let_go()
            os.environ[FOLDER_VARIABLE] = str(self._folder)
            # By index, so that a worker goes on with the counters of the one that it replaces.
            values.ValueClass = values.MultiProcessValue(lambda: index)  # type: ignore[no-untyped-call]
            pipe.setblocking(False)
            status = self._work(partial(_beat, pipe, self._folder))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _let_go(self) -> None:
        """Close what is the parent's alone: a connection ends only when nobody holds it any more."""
        for worker in self._workers.values():
            worker.pipe.close()
        for server in self._listener.servers:
            for held in server.sockets:
                os.close(held.fileno())
        for connection in self._listener.server_state.connections:
            os.close(connection.transport.get_extra_info("socket").fileno())


def _beat(pipe: socket.socket, folder: Path) -> None:
    """Tell the parent that this worker lives; without a parent nobody would ever end it, so it ends."""
    try:
        pipe.send(b".")
    except BlockingIOError:
        pass
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(1)


class _Processes(Collector):
    """The `process_*` metrics of several processes, added up; start and limit are those of the first."""

    def __init__(self, pids: Callable[[], list[int]]) -> None:
        self._pids = pids

    def collect(self) -> Iterator[Metric]:
        """Sums of what each process shows."""
        sums: dict[str, Metric] = {}
        for pid in self._pids():
            for metric in ProcessCollector(pid=partial(int, pid), registry=None).collect():
                known = sums.setdefault(metric.name, metric)
                if known is not metric and metric.name not in _SINGLE:
                    pairs = zip(known.samples, metric.samples, strict=True)
                    known.samples = [one._replace(value=one.value + other.value) for one, other in pairs]
        yield from sums.values()


def _metrics_folder() -> Path:
    """A new folder in memory, else among temporary files; raises `StartupError` if there is none to write to."""
    for place in ("/dev/shm", tempfile.gettempdir()):  # noqa: S108
        with contextlib.suppress(OSError):
            return Path(tempfile.mkdtemp(prefix="modelway-metrics-", dir=place))
    raise StartupError(
        sentence(
            "MODELWAY_WORKERS",
            "needs a place for the metrics that the workers share",
            "no folder that can be written",
            "a writable /dev/shm or /tmp",
            "mount an emptyDir at /tmp, or set it to 1",
        )
    )
