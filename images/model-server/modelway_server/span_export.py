"""Sends spans to a collector by OTLP over HTTP, from a thread, so that no request waits for it.

https://opentelemetry.io/docs/specs/otlp/#otlphttp in its JSON encoding, which needs no library. What the collector does
not take is kept until it does, as far as the queue reaches: what comes later is dropped and counted.
"""

import http.client
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import orjson
from prometheus_client import CollectorRegistry, Counter

from modelway_server import __version__

T = TypeVar("T")

PATH = "/v1/traces"
QUEUE = 2048
"""Spans that wait for the collector; as in the specification's batch processor."""
BATCH = 128
"""Spans of one request: encoding so many holds up the requests beside it for less than a millisecond."""
PAUSE_SECONDS = 1.0
"""Longest that a span waits for others."""
TIMEOUT_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 30.0
"""Between two attempts at a collector that does not answer."""
LAST_SECONDS = 3.0
"""For what is left when the server ends: less than is left of a pod's grace period after drain and last requests."""
RETRIED = frozenset((429, 502, 503, 504))
"""https://opentelemetry.io/docs/specs/otlp/#retryable-response-codes"""
ANSWER_BYTES = 2**16


class SpanExporter(Generic[T]):
    """A bounded queue of recorded things, and the thread that sends them as the spans that `encode` makes of them."""

    def __init__(
        self,
        url: str,
        resource: dict[str, Any],
        encode: Callable[[T], dict[str, Any]],
        registry: CollectorRegistry,
        labels: tuple[str, str],
    ) -> None:
        parts = urlsplit(url)
        self._address = parts.hostname or "", parts.port or 0
        self._resource, self._encode = resource, encode
        self._queue: deque[T] = deque()
        self._unsent: list[T] = []
        self._wake, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        spans = Counter(
            "modelway_spans", "Spans by what became of them.", ("model", "version", "outcome"), registry=registry
        )
        self._sent, self._dropped = (spans.labels(*labels, outcome) for outcome in ("sent", "dropped"))
        self._thread.start()

    def add(self, recorded: T) -> None:
        """Have it sent, unless the queue is full."""
        if len(self._queue) >= QUEUE:
            self._dropped.inc()
            return
        self._queue.append(recorded)
        if len(self._queue) == BATCH:
            self._wake.set()

    def stop(self) -> None:
        """Send what is left, and count what was not taken; returns after `LAST_SECONDS` at the latest."""
        self._ending.set()
        self._wake.set()
        self._thread.join(LAST_SECONDS)
        self._dropped.inc(len(self._queue) + len(self._unsent))

    def _run(self) -> None:
        pause = PAUSE_SECONDS
        while not self._ending.is_set():
            self._wake.wait(PAUSE_SECONDS)
            self._wake.clear()
            if self._send_all():
                pause = PAUSE_SECONDS
                continue
            self._ending.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        self._send_all()

    def _send_all(self) -> bool:
        """Whether the collector took everything, or refused it for good."""
        while self._unsent or self._queue:
            # Nobody else takes from the queue, so there are as many as it has now.
            self._unsent = self._unsent or [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            refused = self._send(self._unsent)
            if refused is None:
                return False
            self._sent.inc(len(self._unsent) - refused)
            self._dropped.inc(refused)
            self._unsent = []
        return True

    def _send(self, batch: list[T]) -> int | None:
        """How many of the spans the collector refused for good; None where they are to be sent again."""
        scope = {"name": "modelway_server", "version": __version__}
        spans = {"scope": scope, "spans": [self._encode(each) for each in batch]}
        body = orjson.dumps({"resourceSpans": [{"resource": self._resource, "scopeSpans": [spans]}]})
        connection = http.client.HTTPConnection(*self._address, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("POST", PATH, body, {"content-type": "application/json", "connection": "close"})
            answer = connection.getresponse()
            text = answer.read(ANSWER_BYTES)
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        if answer.status in RETRIED:
            return None
        return min(_rejected(text), len(batch)) if answer.status == 200 else len(batch)


def _rejected(answer: bytes) -> int:
    """Spans that the collector says it did not take, of a partial success."""
    try:
        return int(orjson.loads(answer).get("partialSuccess", {}).get("rejectedSpans", 0))
    except (ValueError, AttributeError, TypeError):
        return 0
