"""What gateway and servers must say of spans, stated without the code that writes it; see `k8s_checks`."""

from typing import Any

from tests.unit.k8s_checks import Objects
from tests.unit.k8s_facts import TRACED, versions

TELEMETRY: dict[str, Any] = {
    "tracing": {
        "provider": {
            "type": "OpenTelemetry",
            "host": "collector.observability.svc",
            "port": 4317,
            "serviceName": "modelway-gateway",
            "openTelemetry": {
                "sampler": {
                    "type": "TraceIdRatio",
                    "samplingPercentage": {"numerator": 12_500, "denominator": 1_000_000},
                }
            },
        },
        "tags": {"http.url": "%PATH(NQ:ORIG_OR_PATH)%"},
    },
    "requestID": {"tracing": "Disable"},
}
"""Sampled whatever the client decided, and no query in a span."""
URLS = {"service": "http://collector.observability.svc:4318", "address": "http://192.0.2.11:4318"}


def gateway_spans(objects: Objects) -> None:
    """The proxies send the spans of a share of the requests, where they are told to."""
    for proxy in objects.of("EnvoyProxy"):
        telemetry = {name: each for name, each in proxy["spec"]["telemetry"].items() if name != "accessLog"}
        assert telemetry == (TELEMETRY if objects.name == "gateway-all" else {})


def server_spans(objects: Objects) -> None:
    """A server sends spans where it is told to, and to no other place."""
    for version in versions(objects.name):
        (container,) = objects.named("Deployment", version.full_name)["spec"]["template"]["spec"]["containers"]
        env = {each["name"]: each.get("value") for each in container["env"]}
        assert env.get("MODELWAY_TRACES_URL") == (URLS[version.name] if version.model == TRACED else None)


CHECKS = (gateway_spans, server_spans)
