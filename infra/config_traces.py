"""The part of the stack config about traces."""

from infra.config_section import Section


class TraceSettings(Section):
    """`modelway:traces`: the collector that gets spans; `modelway.tracing.arguments` says what fits."""

    url: str
    """`http://HOST:PORT` of the collector, where it takes the servers' spans by OTLP over HTTP."""
    grpc_port: int = 4317
    """Port of the same host, where it takes the gateway's by OTLP over gRPC."""
    sample_percent: float
    """Share of the requests that have spans, 0 to 100."""
    egress_cidrs: list[str] | None = None
    """Networks of the collector; needed where the host is neither an address nor a Service of the cluster."""
