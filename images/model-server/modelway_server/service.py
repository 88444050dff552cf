"""What every part of the running server shares: the model, its names, its metrics and its phase."""

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from itertools import count
from typing import TYPE_CHECKING, Protocol

from modelway_server.batching import Batcher
from modelway_server.drift import DriftMonitor, Reference, read_reference
from modelway_server.drift_window import DriftWindow
from modelway_server.feedback import Feedback
from modelway_server.keys import ApiKeys
from modelway_server.metrics import Metrics
from modelway_server.prediction_id import PlainIds, Signer, read_keys
from modelway_server.replay import SeenIds
from modelway_server.requests import RequestParser
from modelway_server.runtimes import Model, Output, Prediction, Rows
from modelway_server.settings import Settings
from modelway_server.subjects import ASSIGNMENT, SPLIT, SubjectMemory, Subjects

if TYPE_CHECKING:
    from modelway_server.tracing import Tracer

INLINE_SECONDS = 0.001
"""What takes longer runs in a thread: health checks share the event loop."""


MEASUREMENTS, MEASURING_SECONDS = 5, 0.05

HANG_SECONDS = 30.0
HANG_TIMEOUTS = 3
"""A call of the model that takes longer than both, in seconds and in times that a request waits for it, is taken for
one that never returns: all requests behind it have been given up for long."""


class Phase(Enum):
    """Life of the server: readiness is true in `SERVING` only."""

    STARTING = "starting"
    SERVING = "serving"
    DRAINING = "draining"


class Ids(Protocol):
    """Makes the ids of predictions."""

    def issue(self, prediction: Prediction) -> str:
        """One id."""

    def issue_many(self, predictions: Sequence[Prediction], _subject: bytes = b"", /) -> list[str]:
        """One id per prediction, that says whose they are if it is signed."""

    def subject(self, _key: bytes | None, /) -> bytes:
        """How ids name the subject of a user's key."""


class Service:
    """One model version, ready to answer."""

    def __init__(
        self, settings: Settings, model: Model, seen: SeenIds | None = None, known: SubjectMemory | None = None
    ) -> None:
        """What this and other workers remember: `seen` of feedback, needed with `feedback_key_file`, and `known` of
        subjects, needed with `subjects`.
        """
        self.settings = settings
        self.model = model
        self.name = settings.model or model.manifest.name
        self.version = settings.version or model.manifest.version
        self.phase = Phase.STARTING
        self.in_flight = 0
        """Requests for predictions that are being answered."""
        self.parser = RequestParser(model.signature, settings.max_rows)
        self.metrics = Metrics(self.name, self.version, model.digest, model.signature.classes)
        self.subjects: Subjects | None = None
        """Counts subjects; None unless they are to be counted."""
        if known is not None:
            registry, classes = self.metrics.registry, model.signature.classes
            self.subjects = Subjects(settings, known, registry, self.labels, classes)
        self.ids: Ids = PlainIds()
        self.feedback: Feedback | None = None
        """Scores `/feedback`; None without a key."""
        if settings.feedback_key_file and seen is not None:
            self._sign(read_keys(settings.feedback_key_file), seen)
        self.tracer = self._trace(settings.traces_url) if settings.traces_url else None
        """Records requests; None unless spans are sent anywhere."""
        self.keys = ApiKeys.read(settings.api_key_file) if settings.api_key_file else None
        self._reference = read_reference(settings.model_dir, model.manifest, model.signature)
        self.drift = self._watch_drift(self._reference) if self._reference else None
        self.request_ids = request_ids()
        self._direct_rows = settings.max_rows
        self._small = self._large = self._batcher(threaded=True)
        self._batch_rows = 0

    @property
    def labels(self) -> tuple[str, str]:
        """Labels `model` and `version` of all metrics."""
        return self.name, self.version

    def _sign(self, keys: Sequence[bytes], seen: SeenIds) -> None:
        settings, signature = self.settings, self.model.signature
        signer = Signer(
            keys, self.name, self.version, self.model.digest, signature.classes, settings.feedback_expiry_seconds
        )
        outcomes = tuple(filter(None, settings.feedback_outcomes.split(",")))
        self.ids = signer
        self.feedback = Feedback(
            signer, seen, signature, self.metrics.registry, self.labels, outcomes, settings.subjects
        )

    def _trace(self, url: str) -> "Tracer":
        # Whoever sends no spans has nothing of it in memory.
        from modelway_server.tracing import Tracer

        # The same name for all workers of a pod, which is the name of the pod.
        instance = socket.gethostname()
        return Tracer(url, self.metrics.registry, self.labels, self.model.digest, instance)

    def _watch_drift(self, reference: Reference) -> DriftMonitor:
        return DriftMonitor(reference, self.metrics.registry, self.labels)

    def describe_alone(self) -> None:
        """Show what a parent shows for several workers: the process, and drift over the last hour."""
        self.metrics.describe_process()
        if self._reference is not None and self.drift is not None:
            self.metrics.registry.register(DriftWindow(self._reference, self.labels, self.drift.collect))

    def _batcher(self, threaded: bool) -> Batcher:
        return Batcher(self._ask, self.settings, threaded, self.metrics.batch_rows.observe)

    def _ask(self, rows: Rows) -> Output:
        return self.model.predict(rows)

    def _seconds(self, rows: int) -> float:
        """The model's time for `rows` rows: the best of a few, for at the start of a pod others use the CPU as well."""
        started = time.perf_counter()
        found: list[float] = []
        while len(found) < MEASUREMENTS and time.perf_counter() - started < MEASURING_SECONDS:
            found.append(self.model.warm_up(rows))
        return min(found)

    def warm_up(self) -> None:
        """Predict once, measure, and choose how requests reach the model before the first one waits for it."""
        most = self.settings.max_rows
        one, all_rows = self._seconds(1), self._seconds(most)
        # A straight line through both measurements says how many rows fit into the time.
        per_row = max(all_rows - one, 1e-9) / max(most - 1, 1)
        inline = 0 if one > INLINE_SECONDS else min(most, 1 + int((INLINE_SECONDS - one) / per_row))
        unbatched = self.settings.max_batch_rows == 1
        # Nobody shares a batch with a lone request, unless it is told to wait for company.
        self._direct_rows = inline if unbatched or not self.settings.batch_wait_microseconds else 0
        self._batch_rows = 0 if unbatched else inline
        if self._batch_rows:
            self._small = self._batcher(threaded=False)

    @property
    def queued_rows(self) -> int:
        """Rows that wait for the model."""
        return self._small.queued_rows + (self._large.queued_rows if self._large is not self._small else 0)

    def hangs(self) -> bool:
        """Whether a call of the model does not return, which only a new process mends."""
        limit = max(HANG_SECONDS, HANG_TIMEOUTS * self.settings.predict_timeout_seconds)
        return max(self._small.busy_seconds(), self._large.busy_seconds()) > limit

    async def predict(self, rows: Rows, company: bool = False) -> Output:
        """Answer for rows of shape `[rows, features]`; raises `ApiError` 503 or 504 when the model cannot keep up.

        `company`: other requests are there, with which these rows may make a batch.
        """
        size = len(rows)
        if size <= self._direct_rows and not (company and size <= self._batch_rows):
            output = self.model.predict(rows)
        else:
            output = await (self._small if size <= self._batch_rows else self._large).predict(rows)
        self.metrics.predictions(output.prediction)
        if self.drift is not None:
            self.drift.add(rows, output)
        return output

    def issue_ids(self, head: Mapping[bytes, bytes], predictions: Sequence[Prediction]) -> list[str]:
        """Ids of the predictions of a request with these headers."""
        if self.subjects is None or head.get(ASSIGNMENT) != SPLIT:
            return self.ids.issue_many(predictions)
        return self.ids.issue_many(predictions, self.ids.subject(self.subjects.key(head)))

    def keep_up(self) -> None:
        """What is done every second, and before a scrape: metrics, drift, keys that were replaced."""
        self.metrics.flush(self.in_flight, self.queued_rows)
        if self.subjects is not None:
            self.subjects.flush()
        if self.drift is not None:
            self.drift.flush()
        if self.keys is not None:
            self.keys.refresh()


def request_ids() -> Callable[[], str]:
    """Makes ids of 32 hexadecimal digits, unique here and in all other processes, in a tenth of a UUID's time."""
    start, numbers = os.urandom(8).hex(), count(int.from_bytes(os.urandom(4)))
    return lambda: f"{start}{next(numbers):016x}"
