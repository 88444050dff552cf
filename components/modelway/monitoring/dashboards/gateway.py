"""The gateway: what clients get, what goes to the models, and what is lost between."""

from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard

from modelway.monitoring.dashboards.panels import RATE, Looks, Q, Row, Step, lines, number, page

CLIENTS = 'envoy_http_conn_manager_prefix=~"https?-[0-9]+"'
"""The listeners of clients; those of probes and of Prometheus have other prefixes."""
ROUTES = 'envoy_cluster_name=~"httproute/.*"'
ROUTE = "httproute/[^/]+/([^/]+)/.*"
"""Its group is the route of a cluster (Envoy Gateway 1.9: `httproute/NAMESPACE/ROUTE/rule/N…`)."""
LOSSES = {
    "no connection": "cx_connect_fail",
    "too slow": "rq_timeout",
    "too many": "rq_pending_overflow",
    "connection lost": "rq_rx_reset",
    "no pod": "cx_none_healthy",
}
"""Why a request got no answer of its model, by counter."""


def dashboard() -> Dashboard:
    """The dashboard."""
    return page(
        "gateway",
        "Modelway / Gateway",
        "What clients get from the proxies, and what the proxies get from the models.",
        [],
        [Row("Clients", _clients()), Row("Models", _models()), Row("Proxies", _proxies())],
    )


def _rate(metric: str, matchers: str, labels: str = "") -> str:
    return f"sum by ({labels}) (rate({metric}{{{matchers}}}[{RATE}]))"


def _clients() -> list[Any]:
    requests = _rate("envoy_http_downstream_rq_xx", CLIENTS)
    failed = _rate("envoy_http_downstream_rq_xx", f'{CLIENTS},envoy_response_code_class="5"')
    return [
        number("Proxies", Q('sum(up{job="gateway"})', "proxies"), _small()),
        number("Requests", Q(requests, "requests"), _small("reqps")),
        number("Answered 5xx", Q(f"{failed} / ({requests} > 0) or vector(0)", "failed"), _small("percentunit")),
        number("Connections", Q(f"sum(envoy_http_downstream_cx_active{{{CLIENTS}}})", "connections"), _small()),
        lines(
            "Answers",
            [
                Q(
                    _rate("envoy_http_downstream_rq_xx", CLIENTS, "envoy_response_code_class"),
                    "{{envoy_response_code_class}}xx",
                )
            ],
            Looks("reqps", stacked=True),
        ),
        lines(
            "Latency",
            [Q(_quantile(quantile), f"p{quantile * 100:g}") for quantile in (0.5, 0.99)],
            Looks("ms", description="From the first byte of a request to the last of its answer."),
        ),
        lines(
            "Without a route",
            [Q(_rate("envoy_http_no_route", CLIENTS), "no route")],
            Looks("reqps", description="Paths and hosts that no model has."),
        ),
    ]


def _small(unit: str = "short", *steps: Step) -> Looks:
    return Looks(unit, width=6, height=4, steps=steps)


def _quantile(quantile: float) -> str:
    return f"histogram_quantile({quantile:g}, {_rate('envoy_http_downstream_rq_time_bucket', CLIENTS, 'le')})"


def _by_route(expression: str) -> str:
    return f'sum by (route) (label_replace({expression}, "route", "$1", "envoy_cluster_name", "{ROUTE}"))'


def _models() -> list[Any]:
    def route_rate(metric: str, more: str = "") -> str:
        return _by_route(f"rate({metric}{{{ROUTES}{more}}}[{RATE}])")

    failed = route_rate("envoy_cluster_upstream_rq_xx", ',envoy_response_code_class="5"')
    requests = route_rate("envoy_cluster_upstream_rq_xx")
    none = f"0 * {requests}"
    losses = [Q(_rate(f"envoy_cluster_upstream_{counter}", ROUTES), why) for why, counter in LOSSES.items()]
    return [
        lines("Requests by route", [Q(requests, "{{route}}")], Looks("reqps")),
        lines("Answered 5xx by route", [Q(f"{failed} or {none}", "{{route}}")], Looks("reqps")),
        lines("Lost on the way", losses, Looks("reqps", runbooks=("model-availability",))),
        lines("Retries", [Q(route_rate("envoy_cluster_upstream_rq_retry"), "{{route}}")], Looks("reqps")),
        lines(
            "Pods that may be asked",
            [Q(_by_route(f"max by (envoy_cluster_name) (envoy_cluster_membership_healthy{{{ROUTES}}})"), "{{route}}")],
            Looks(description="Summed over the places of a split."),
        ),
        lines(
            "Requests on their way",
            [Q(_by_route(f"envoy_cluster_upstream_rq_active{{{ROUTES}}}"), "{{route}}")],
        ),
    ]


def _proxies() -> list[Any]:
    envoy = 'container="envoy"'
    return [
        lines(
            "CPU",
            [Q(_rate("container_cpu_usage_seconds_total", envoy, "pod"), "{{pod}}")],
            Looks("none", decimals=2),
        ),
        lines(
            "Memory", [Q(f"sum by (pod) (container_memory_working_set_bytes{{{envoy}}})", "{{pod}}")], Looks("bytes")
        ),
        lines(
            "Traffic",
            [
                Q(_rate("envoy_http_downstream_cx_rx_bytes_total", CLIENTS), "from clients"),
                Q(_rate("envoy_http_downstream_cx_tx_bytes_total", CLIENTS), "to clients"),
            ],
            Looks("Bps"),
        ),
    ]
