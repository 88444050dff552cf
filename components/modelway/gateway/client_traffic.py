"""ClientTrafficPolicy of one Gateway: what its proxies take from clients before they know who asks.

Size and number of headers have no field (Envoy Gateway 1.9.1): Envoy's own 60 KiB and 100 headers hold, and more is
answered with 431.
"""

from collections.abc import Mapping
from typing import Any

from modelway._common import Manifest
from modelway.gateway.policy import API_VERSION, ASSIGNMENT_HEADER, CLIENT_HEADER, Connections


def client_traffic_policy(
    metadata: Mapping[str, Any], connections: Connections, trusted_proxies: int, tls: Mapping[str, Any] | None = None
) -> Manifest:
    """The ClientTrafficPolicy of the Gateway with the same name; `tls` is what else its `spec` says."""
    spec: dict[str, Any] = {
        "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": metadata["name"]}],
        "headers": {
            "requestID": "PreserveOrGenerate",
            # Only the gateway says who asks and how a version was chosen.
            "earlyRequestHeaders": {"remove": [CLIENT_HEADER, ASSIGNMENT_HEADER]},
            # Servers that send none of their own.
            "lateResponseHeaders": {"addIfAbsent": [{"name": "x-request-id", "value": "%REQ(X-REQUEST-ID)%"}]},
        },
        # Two spellings of one path are two paths to whoever guards by path.
        "path": {"escapedSlashesAction": "RejectRequest"},
        "timeout": {
            "http": {
                "requestHeadersReceivedTimeout": f"{connections.header_seconds}s",
                "requestReceivedTimeout": f"{connections.request_seconds}s",
                "idleTimeout": f"{connections.idle_seconds}s",
            }
        },
        "connection": {"connectionLimit": {"value": connections.maximum}},
    }
    if trusted_proxies:
        spec["clientIPDetection"] = {"xForwardedFor": {"numTrustedHops": trusted_proxies}}
    return {
        "apiVersion": API_VERSION,
        "kind": "ClientTrafficPolicy",
        "metadata": dict(metadata),
        "spec": _merged(spec, tls or {}),
    }


def _merged(spec: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both, maps within maps too."""
    result = dict(spec)
    for name, value in other.items():
        known = result.get(name)
        result[name] = _merged(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return result
