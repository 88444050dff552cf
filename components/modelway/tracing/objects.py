"""What sends spans, as parts of Kubernetes objects."""

from typing import Any
from urllib.parse import urlsplit

from modelway._egress import DNS_EGRESS, host_egress, is_address
from modelway.tracing.arguments import MILLIONTHS, GatewayTraces, ServerTraces

SERVICE_NAME = "modelway-gateway"
"""`service.name` of the gateway's spans; that of a server's is the model."""


def proxy_telemetry(traces: GatewayTraces | None) -> dict[str, Any]:
    """What `telemetry` of an EnvoyProxy says of spans; nothing where they are sent nowhere.

    `host` is deprecated for `backendRefs`, whose kind for what is no Service, Backend, would have to be switched on and
    lets whoever writes one send requests anywhere: https://gateway.envoyproxy.io/docs/tasks/traffic/backend/
    """
    if traces is None:
        return {}
    # Envoy's other samplers believe the flag of the client's traceparent, and whoever sets it would be recorded.
    recorded = {"numerator": round(traces.sample_percent / 100 * MILLIONTHS), "denominator": MILLIONTHS}
    return {
        "tracing": {
            "provider": {
                "type": "OpenTelemetry",
                "host": traces.host,
                "port": traces.port,
                "serviceName": SERVICE_NAME,
                "openTelemetry": {"sampler": {"type": "TraceIdRatio", "samplingPercentage": recorded}},
            },
            # As in the access log without the query, where people put what nobody should read.
            "tags": {"http.url": "%PATH(NQ:ORIG_OR_PATH)%"},
        },
        # Envoy writes its decision into a client's request id, and reads one from it, unless told not to.
        "requestID": {"tracing": "Disable"},
    }


def proxy_egress(traces: GatewayTraces | None) -> list[dict[str, Any]]:
    """What proxies, which may ask for names anyway, reach to send spans."""
    return [] if traces is None else [host_egress(traces.host, traces.port, traces.egress_cidrs)]


def server_egress(traces: ServerTraces | None) -> list[dict[str, Any]]:
    """What a server reaches to send spans."""
    if traces is None:
        return []
    url = urlsplit(traces.url)
    host = url.hostname or ""
    names = [] if is_address(host) else [DNS_EGRESS]
    return [*names, host_egress(host, url.port or 0, traces.egress_cidrs)]
