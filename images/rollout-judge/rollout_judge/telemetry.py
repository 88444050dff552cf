"""What the judge shows of itself: `/metrics`, `/healthz` and `/readyz`."""

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from rollout_judge.state import Entry, State, Status

STALLED_SECONDS = 60.0
"""A turn takes two seconds at most; a judge that finished none for so long is to be started again."""


class Telemetry:
    """Numbers of one experiment, and whether the judge is well."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds that never go back."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._clock, self._turned_at, self.ready = clock, clock(), False
        ProcessCollector(registry=self.registry)
        self._holder = self._gauge("holder", "1 while this judge holds the Lease.")
        self._status = self._gauge("status", "1 for where the experiment stands.", "status")
        self._weight = self._gauge("weight_percent", "Weight that the split route shall have.", "version")
        self._evidence = self._gauge("evidence", "That the candidate is worse in this metric.", "metric")
        self._enough = self._gauge("evidence_enough", "Evidence that rolls back.", "metric")
        self._trials = self._gauge("trials", "Trials that were compared.", "metric", "arm")
        self._events = self._gauge("events", "Trials in which something bad happened.", "metric", "arm")
        self._mismatch = self._gauge("sample_ratio_evidence", "That traffic is not divided as weighted.")
        self._missing = self._gauge("look_missing", "1 while looks cannot be taken.")
        self._looks = self._gauge("looks", "Looks with all data.")
        self._decisions = self._counter("decisions", "Lines of the history.", "event")
        self._problems = self._counter("problems", "Turns that failed, by what failed.", "what")

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"modelway_rollout_{name}", text, labels, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"modelway_rollout_{name}", text, labels, registry=self.registry)

    def turned(self, holder: bool) -> None:
        """A turn is over, whatever came of it."""
        self._turned_at = self._clock()
        self._holder.set(holder)

    def problem(self, what: str) -> None:
        """A turn failed."""
        self._problems.labels(what).inc()

    def decided(self, entry: Entry) -> None:
        """A line was added to the history."""
        self._decisions.labels(entry.event).inc()

    def show(self, state: State) -> None:
        """Show what the state says."""
        for status in Status:
            self._status.labels(status).set(status is state.status)
        self._weight.clear()
        for version, weight in state.weights.items():
            self._weight.labels(version).set(weight)
        for label, metric in state.metrics.items():
            self._evidence.labels(label).set(metric.evidence)
            self._enough.labels(label).set(metric.enough)
            for arm, total in (("champion", metric.champion), ("candidate", metric.candidate)):
                self._trials.labels(label, arm).set(total.trials)
                self._events.labels(label, arm).set(total.events)
        self._mismatch.set(state.sample_ratio.evidence)
        self._missing.set(state.missing is not None)
        self._looks.set(state.looks)

    def alive(self) -> bool:
        """Whether turns are being finished."""
        return self._clock() - self._turned_at < STALLED_SECONDS


def serve(telemetry: Telemetry, port: int, host: str = "") -> ThreadingHTTPServer:
    """Answer in the background until `shutdown`; `host` empty: on all addresses."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = _answer(telemetry, self.path)
            self.send_response(found[0])
            self.send_header("Content-Type", found[1])
            self.send_header("Content-Length", str(len(found[2])))
            self.end_headers()
            self.wfile.write(found[2])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Probes are no news."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True, name="http").start()
    return server


def _answer(telemetry: Telemetry, path: str) -> tuple[int, str, bytes]:
    plain = "text/plain; charset=utf-8"
    if path == "/metrics":
        return 200, "text/plain; version=0.0.4; charset=utf-8", generate_latest(telemetry.registry)
    if path == "/healthz":
        return (200, plain, b"ok") if telemetry.alive() else (503, plain, b"no turn was finished for a minute")
    if path == "/readyz":
        return (200, plain, b"ok") if telemetry.ready else (503, plain, b"the route is not this judge's yet")
    return 404, plain, b"not found"
