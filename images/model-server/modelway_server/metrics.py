"""Prometheus metrics of one model version.

Labels are bound once, and a request only adds to plain numbers: a locked counter costs ten times as much, and there are
five per request. `flush` hands the numbers on, every second and before a scrape.
"""

from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from modelway_server.errors import KINDS
from modelway_server.runtimes import Prediction
from modelway_server.signature import ClassLabel

BUCKETS_SECONDS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0
)  # fmt: skip
BUCKETS_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024)

ASSIGNMENTS = ("split", "pinned", "shadow", "none")
"""How the gateway came to choose this version, from its header `x-modelway-assignment`."""

CLIENTS = 100
"""Clients with a series of their own, in the order in which they come; whoever comes later is `other`."""
_OTHER = b"other"

REFUSALS = ("http", "header_size", "header_timeout", "connections", "slow_reader")
"""Why a connection was ended before it made a request, or while it did not read its answer."""


class Metrics:
    """What `/metrics` shows of the requests. Only requests for predictions count."""

    def __init__(self, model: str, version: str, digest: str, classes: Sequence[ClassLabel] | None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._names, self._identity = ("model", "version"), (model, version)
        self._duration = Histogram(
            "modelway_request_duration_seconds",
            "Time from a request's first byte read to its answer.",
            (*self._names, "code"),
            registry=self.registry,
            buckets=BUCKETS_SECONDS,
        )
        self._requests = self._counter("modelway_requests", "Requests by status code.", "code")
        self._assigned = self._counter(
            "modelway_assigned_requests", "Requests by the gateway's reason for this version.", "assignment", "code"
        )
        self._clients = self._counter(
            "modelway_client_requests", "Requests of clients that the gateway knows.", "client"
        )
        self._new_by_client: dict[bytes, int] = {}
        errors = self._counter("modelway_errors", "Requests without a prediction, by kind.", "kind")
        refused = self._counter("modelway_refused_connections", "Connections ended by a limit.", "reason")
        predictions = self._counter("modelway_predictions", "Predicted rows by class.", "prediction")
        batches = Histogram(
            "modelway_batch_rows",
            "Rows that a model was asked at once for several requests.",
            self._names,
            registry=self.registry,
            buckets=BUCKETS_ROWS,
        )
        self.batch_rows = batches.labels(model, version)
        self._in_flight = self._gauge("modelway_requests_in_flight", "Requests being answered.")
        self._queue_rows = self._gauge("modelway_queue_rows", "Rows that wait for the model.")
        info = Gauge(
            "modelway_model_info",
            "1, with the sha256 of the model.",
            (*self._names, "digest"),
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        info.labels(model, version, digest).set(1)
        # Every known series exists from the start: a rate over a series that appears with its first event is lost.
        self._errors = {kind: errors.labels(model, version, kind) for kind in sorted(set(KINDS.values()))}
        self._refused = {reason: refused.labels(model, version, reason) for reason in REFUSALS}
        self._by_class = {label: predictions.labels(model, version, str(label)) for label in classes or ()}
        self._new_predictions = dict.fromkeys(self._by_class, 0)
        self._cells: dict[tuple[int, bytes | None], _Cell] = {}
        for code in (200, 422, 500):
            for assignment in ASSIGNMENTS:
                self._bind(code, assignment.encode())

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, (*self._names, *labels), registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        gauge = Gauge(name, text, self._names, registry=self.registry, multiprocess_mode="livesum")
        return gauge.labels(*self._identity)

    def describe_process(self) -> None:
        """Show memory, CPU and garbage collection of this process."""
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)

    def request(self, code: int, seconds: float, assignment: bytes | None) -> None:
        """Count one finished request; `assignment` is the header's value."""
        cell = self._cells.get((code, assignment)) or self._bind(code, assignment)
        cell.seconds += seconds
        cell.buckets[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        if code >= 400:
            self._errors[KINDS.get(code, "internal")].inc()

    def client(self, name: bytes) -> None:
        """Count one request of a client; `name` is the gateway's header `x-modelway-client`."""
        new = self._new_by_client
        if name not in new:
            name = name if len(new) < CLIENTS else _OTHER
            new.setdefault(name, 0)
        new[name] += 1

    def predictions(self, values: Sequence[Prediction]) -> None:
        """Count predicted classes; values of a regression are no label."""
        if self._by_class:
            new = self._new_predictions
            for value in values:
                new[value] += 1  # type: ignore[index]

    def refused(self, reason: str) -> None:
        """Count one connection that a limit ended; `reason` is one of `REFUSALS`."""
        self._refused[reason].inc()

    def flush(self, in_flight: int, queue_rows: int) -> None:
        """Hand on what was counted since the last time, and set the gauges."""
        self._in_flight.set(in_flight)
        self._queue_rows.set(queue_rows)
        for label, count in self._new_predictions.items():
            if count:
                self._by_class[label].inc(count)
                self._new_predictions[label] = 0
        for name, count in list(self._new_by_client.items()):
            if count:
                self._clients.labels(*self._identity, name.decode("latin-1")).inc(count)
                self._new_by_client[name] = 0
        for cell in self._cells.values():
            cell.flush()

    def _bind(self, code: int, assignment: bytes | None) -> "_Cell":
        # Strangers must not make series: whatever is unknown has one cell with that of no header.
        name = known_assignment(assignment)
        cell = self._cells.get((code, name.encode()))
        if cell is None:
            labels = (*self._identity, str(code))
            cell = _Cell(
                self._requests.labels(*labels),
                self._duration.labels(*labels),
                self._assigned.labels(*self._identity, name, str(code)),
            )
            self._cells[code, name.encode()] = cell
        if assignment is None:
            self._cells[code, None] = cell
        return cell


def known_assignment(value: bytes | None) -> str:
    """One of `ASSIGNMENTS` for the header's value."""
    known = value.decode("latin-1") if value is not None else "none"
    return known if known in ASSIGNMENTS else "none"


class _Cell:
    """Requests of one code and assignment that are not handed on yet."""

    __slots__ = ("_assigned", "_duration", "_requests", "buckets", "seconds")

    def __init__(self, requests: Counter, duration: Histogram, assigned: Counter) -> None:
        self._requests, self._duration, self._assigned = requests, duration, assigned
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS_SECONDS) + 1)

    def flush(self) -> None:
        count = sum(self.buckets)
        if not count:
            return
        self._requests.inc(count)
        self._assigned.inc(count)
        # The library observes one value at a time; its buckets are not cumulative before they are shown.
        self._duration._sum.inc(self.seconds)
        for bucket, number in zip(self._duration._buckets, self.buckets, strict=True):
            if number:
                bucket.inc(number)
        self.seconds, self.buckets = 0.0, [0] * len(self.buckets)
