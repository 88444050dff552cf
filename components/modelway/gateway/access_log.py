"""The gateway's access log: a line of JSON a request."""

from typing import Any

from modelway.gateway.policy import CLIENT_HEADER

FIELDS = {
    "time": "%START_TIME%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "traceparent": "%REQ(TRACEPARENT)%",
    # A field of the log and no label of a metric: clients have no bound.
    "client": f"%REQ({CLIENT_HEADER.upper()})%",
    "address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "method": "%REQ(:METHOD)%",
    "host": "%REQ(:AUTHORITY)%",
    # Without the query, where people put what nobody should read.
    "path": "%PATH(NQ:ORIG_OR_PATH)%",
    "status": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "route": "%ROUTE_NAME%",
    "server": "%UPSTREAM_HOST%",
    "milliseconds": "%DURATION%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
}
"""What a line says, in Envoy's notation. The key and the token are in none of it."""


def access_log() -> dict[str, Any]:
    """`telemetry.accessLog` of an EnvoyProxy."""
    sink = {"type": "File", "file": {"path": "/dev/stdout"}}
    return {"settings": [{"format": {"type": "JSON", "json": FIELDS}, "sinks": [sink]}]}
