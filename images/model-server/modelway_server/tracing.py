"""One span per recorded prediction request: imported only where spans are sent to a collector.

The caller decides: a request is recorded when its `traceparent` says that the caller's span is. Names of attributes are
those of https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span, and `modelway.*` for the rest.
"""

import time
from functools import lru_cache
from os import urandom
from typing import Any

from prometheus_client import CollectorRegistry

from modelway_server.call import Call
from modelway_server.span_export import SpanExporter
from modelway_server.trace_context import HEADER, PARENT, is_sampled

MAXIMUM_IDS = 100
"""Ids of predictions that one span carries; `modelway.predictions` says how many there were."""
KINDS = 256
"""Kinds of requests whose attributes are kept; they are few, since only predictions are recorded."""
SERVER_KIND, ERROR = 2, 2
"""Numbers of opentelemetry/proto/trace/v1/trace.proto: SPAN_KIND_SERVER and STATUS_CODE_ERROR."""
REMOTE_PARENT_SAMPLED = 0x301
"""Flags of the same file: sampled, and the parent is known to be remote."""

Recorded = tuple[bytes, bytes, bytes, int, int, str, str, int, str, str, list[str] | None]
"""Ids of trace, parent and span; start and end in nanoseconds; method, path, code, request id, assignment, prediction
ids."""


class Tracer:
    """Records requests and has their spans sent."""

    def __init__(
        self, url: str, registry: CollectorRegistry, labels: tuple[str, str], digest: str, instance: str
    ) -> None:
        """`url`: the collector's, without a path. `labels`: model and version; `instance`: what tells pods apart."""
        resource = {
            "service.name": labels[0],
            "service.version": labels[1],
            "service.instance.id": instance,
            "modelway.model": labels[0],
            "modelway.version": labels[1],
            "modelway.digest": digest,
        }
        self._exporter: SpanExporter[Recorded] = SpanExporter(
            url, {"attributes": attributes(resource)}, span, registry, labels
        )

    def stop(self) -> None:
        """Send what is left, for at most `span_export.LAST_SECONDS`."""
        self._exporter.stop()

    def record(self, call: Call, seconds: float, assignment: str) -> None:
        """Record a request that just ended after `seconds`, if its caller does."""
        given = call.head.get(HEADER)
        if given is None or (parent := PARENT.fullmatch(given)) is None or not is_sampled(parent[3]):
            return
        end, scope = time.time_ns(), call.scope
        self._exporter.add(
            (
                *(parent[1], parent[2], urandom(8)),
                *(end - int(seconds * 1e9), end),
                *(scope["method"], scope["path"], call.status, call.request_id, assignment, call.ids),
            )
        )


def span(recorded: Recorded) -> dict[str, Any]:
    """A span as OTLP's JSON has it."""
    trace, parent, own, start, end, method, path, code, request_id, assignment, ids = recorded
    said = [*_kind(method, path, code, assignment), *attributes({"modelway.request_id": request_id})]
    if ids:
        said += attributes({"modelway.prediction.ids": ids[:MAXIMUM_IDS], "modelway.predictions": len(ids)})
    return {
        "traceId": trace.decode(),
        "spanId": own.hex(),
        "parentSpanId": parent.decode(),
        "flags": REMOTE_PARENT_SAMPLED,
        "name": f"{method} {path}",
        "kind": SERVER_KIND,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(end),
        "attributes": said,
        "status": {"code": ERROR} if code >= 500 else {},
    }


@lru_cache(KINDS)
def _kind(method: str, path: str, code: int, assignment: str) -> list[dict[str, Any]]:
    """What many requests have in common."""
    said: dict[str, Any] = {
        "http.request.method": method,
        "http.response.status_code": code,
        "http.route": path,
        "url.path": path,
        "url.scheme": "http",
        "modelway.assignment": assignment,
    }
    return attributes(said | ({"error.type": str(code)} if code >= 500 else {}))


def attributes(values: dict[str, Any]) -> list[dict[str, Any]]:
    """A map as OTLP's JSON has it."""
    return [{"key": name, "value": _value(value)} for name, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"arrayValue": {"values": [{"stringValue": each} for each in value]}}
    # Numbers of 64 bits are text in protobuf's JSON.
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}
