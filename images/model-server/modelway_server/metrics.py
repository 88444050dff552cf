"""Prometheus metrics of one model version. Labels are bound once, so that a request only adds numbers."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from modelway_server.errors import KINDS
from modelway_server.model import Prediction
from modelway_server.signature import ClassLabel

BUCKETS_SECONDS = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0
)  # fmt: skip


class Metrics:
    """What `/metrics` shows. Only requests to `/predict` count."""

    def __init__(self, model: str, version: str, digest: str, classes: Sequence[ClassLabel] | None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        labels, self._identity = ("model", "version"), (model, version)
        self._duration = Histogram(
            "modelway_request_duration_seconds",
            "Time from a request's first byte read to its answer.",
            (*labels, "code"),
            registry=self.registry,
            buckets=BUCKETS_SECONDS,
        )
        self._requests = Counter(
            "modelway_requests", "Requests by status code.", (*labels, "code"), registry=self.registry
        )
        errors = Counter(
            "modelway_errors", "Requests without a prediction, by kind.", (*labels, "kind"), registry=self.registry
        )
        self._predictions = Counter(
            "modelway_predictions", "Predicted rows by class.", (*labels, "prediction"), registry=self.registry
        )
        self.in_flight = Gauge(
            "modelway_requests_in_flight", "Requests being answered.", labels, registry=self.registry
        ).labels(model, version)
        info = Gauge(
            "modelway_model_info", "1, with the sha256 of the model.", (*labels, "digest"), registry=self.registry
        )
        info.labels(model, version, digest).set(1)
        # Every known series exists from the start: a rate over a series that appears with its first event is lost.
        self._errors = {kind: errors.labels(model, version, kind) for kind in sorted(set(KINDS.values()))}
        self._by_class = {label: self._predictions.labels(model, version, str(label)) for label in classes or ()}
        self._by_code: dict[int, tuple[Counter, Histogram]] = {}
        for code in (200, 422, 500):
            self._bind(code)

    def request(self, code: int, seconds: float) -> None:
        """Count one finished request."""
        requests, duration = self._by_code.get(code) or self._bind(code)
        requests.inc()
        duration.observe(seconds)
        if code >= 400:
            self._errors[KINDS.get(code, "internal")].inc()

    def predictions(self, values: Sequence[Prediction]) -> None:
        """Count predicted classes; values of a regression are no label."""
        if self._by_class:
            for value in values:
                self._by_class[value].inc()  # type: ignore[index]

    def _bind(self, code: int) -> tuple[Counter, Histogram]:
        labels = (*self._identity, str(code))
        self._by_code[code] = self._requests.labels(*labels), self._duration.labels(*labels)
        return self._by_code[code]
