"""Prometheus configuration and recording rules, as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelway.monitoring.quality import quality_groups
from modelway.monitoring.quality_alerts import quality_alert_groups
from modelway.monitoring.quality_args import Quality
from modelway.monitoring.self_watch import self_watch_groups
from modelway.monitoring.slo import Slo, slo_groups

SCRAPE_INTERVAL_SECONDS = 5
"""Short, since a page is due within 90 seconds of an outage."""
ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"
GATEWAY_METRICS = (
    "envoy_(modelway|http|server)_.*|envoy_cluster_membership_healthy|envoy_cluster_upstream_(rq_time_(bucket|count)|"
    "rq|rq_xx|rq_active|rq_retry|rq_timeout|rq_rx_reset|rq_pending_overflow|rq_pending_failure_eject|"
    "cx_connect_fail|cx_none_healthy)"
)
"""What rules and dashboards read of a proxy, which has 150 series for each of its clusters, of which a version has
several."""
CONTAINER_METRICS = "container_cpu_usage_seconds_total|container_memory_working_set_bytes"


@dataclass(frozen=True)
class ScrapeSpec:
    """What Prometheus scrapes."""

    models_namespaces: tuple[str, ...]
    gateway_namespace: str
    kubelet_insecure_tls: bool = False


def prometheus_config(spec: ScrapeSpec, alertmanager: str = "") -> dict[str, Any]:
    """The content of `prometheus.yml`; `alertmanager` is host and port of the one that is told of alerts."""
    to = {"static_configs": [{"targets": [alertmanager]}]}
    return {
        "global": {
            "scrape_interval": f"{SCRAPE_INTERVAL_SECONDS}s",
            "evaluation_interval": f"{SCRAPE_INTERVAL_SECONDS}s",
        },
        "rule_files": ["/etc/prometheus/rules.yml"],
        **({"alerting": {"alertmanagers": [to]}} if alertmanager else {}),
        "scrape_configs": [
            _model_servers(spec),
            {
                **_pods("gateway", (spec.gateway_namespace,), "proxy", "19001", "/stats/prometheus"),
                "metric_relabel_configs": [_keep("__name__", GATEWAY_METRICS)],
            },
            _pods("rollout-judges", spec.models_namespaces, "rollout-judge", "9090", "/metrics", JUDGED_MODEL),
            _containers(spec),
            {"job_name": "prometheus", "static_configs": [{"targets": ["localhost:9090"]}]},
            *([{"job_name": "alertmanager", **to}] if alertmanager else []),
        ],
    }


def _model_servers(spec: ScrapeSpec) -> dict[str, Any]:
    """Every model server on the port and the path that its own annotations name, since runtimes differ."""
    pod = "__meta_kubernetes_pod"
    return {
        "job_name": "model-servers",
        # Feedback counts for the version that predicted, which need not be the one that is scraped.
        "honor_labels": True,
        "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": list(spec.models_namespaces)}}],
        "relabel_configs": [
            _keep(f"{pod}_label_app_kubernetes_io_component", "model-server"),
            {
                "source_labels": [f"{pod}_annotation_prometheus_io_port"],
                "target_label": f"{pod}_container_port_number",
                "action": "keepequal",
            },
            _keep(f"{pod}_phase", "Running"),
            {"source_labels": [f"{pod}_annotation_prometheus_io_path"], "target_label": "__metrics_path__"},
            {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
            {"source_labels": [f"{pod}_name"], "target_label": "pod"},
            {"source_labels": [f"{pod}_label_app_kubernetes_io_name"], "target_label": "model"},
            {"source_labels": [f"{pod}_label_app_kubernetes_io_version"], "target_label": "version"},
        ],
    }


def _pods(
    job: str, namespaces: tuple[str, ...], component: str, port: str, path: str, *more: dict[str, Any]
) -> dict[str, Any]:
    return {
        "job_name": job,
        "metrics_path": path,
        "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": list(namespaces)}}],
        "relabel_configs": [
            _keep("__meta_kubernetes_pod_label_app_kubernetes_io_component", component),
            _keep("__meta_kubernetes_pod_container_port_number", port),
            _keep("__meta_kubernetes_pod_phase", "Running"),
            {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
            {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
            *more,
        ],
    }


JUDGED_MODEL = {"source_labels": ["__meta_kubernetes_pod_label_app_kubernetes_io_name"], "target_label": "model"}
"""A judge does not name its model in its series; its pod carries the name."""


def _keep(label: str, value: str) -> dict[str, Any]:
    return {"source_labels": [label], "regex": value, "action": "keep"}


def _containers(spec: ScrapeSpec) -> dict[str, Any]:
    tls: dict[str, Any] = {"ca_file": f"{ACCOUNT_DIRECTORY}/ca.crt"}
    if spec.kubelet_insecure_tls:
        tls["insecure_skip_verify"] = True
    namespaces = "|".join((*spec.models_namespaces, spec.gateway_namespace))
    return {
        "job_name": "containers",
        "scheme": "https",
        # The kubelet's stable resource metrics (https://kubernetes.io/docs/reference/instrumentation/node-metrics/):
        # two dozen series where cAdvisor's page has thousands, and independent of the container runtime.
        "metrics_path": "/metrics/resource",
        "authorization": {"credentials_file": f"{ACCOUNT_DIRECTORY}/token"},
        "tls_config": tls,
        "kubernetes_sd_configs": [{"role": "node"}],
        "metric_relabel_configs": [
            _keep("__name__", CONTAINER_METRICS),
            _keep("namespace", namespaces),
        ],
    }


BY_VERSION = "sum by (model, version)"
JOIN = (
    "* on (namespace, pod) group_left (model, version) "
    'max by (namespace, pod, model, version) (up{job="model-servers"} >= bool 0)'
)


def stack_rules(slos: Sequence[Slo] = (), qualities: Sequence[Quality] = ()) -> dict[str, Any]:
    """What every Prometheus in a cluster has, beside what a stack writes itself."""
    return {"groups": [*prometheus_rules(slos, qualities)["groups"], *self_watch_groups()]}


def prometheus_rules(slos: Sequence[Slo] = (), qualities: Sequence[Quality] = ()) -> dict[str, Any]:
    """Rates, errors, latency, CPU and memory per model and version, quality and drift of the predictions, objectives.

    The model and the version of a container come from the labels of its pod, which every scrape carries (`up`),
    joined on the pod's name, which itself is never parsed. Names follow https://prometheus.io/docs/practices/rules/.
    """
    failed = 'modelway_requests_total{code=~"5.."}'
    buckets = "sum by (model, version, le) (rate(modelway_request_duration_seconds_bucket[1m]))"
    records = {
        "model_version:modelway_requests:rate1m": f"{BY_VERSION} (rate(modelway_requests_total[1m]))",
        "model_version:modelway_request_errors:rate1m": (
            f"{BY_VERSION} (rate({failed}[1m])) or 0 * {BY_VERSION} (rate(modelway_requests_total[1m]))"
        ),
        "model_version:modelway_request_duration_seconds:p50": f"histogram_quantile(0.5, {buckets})",
        "model_version:modelway_request_duration_seconds:p99": f"histogram_quantile(0.99, {buckets})",
        "model_version:container_cpu_cores:rate1m": (
            f'{BY_VERSION} (rate(container_cpu_usage_seconds_total{{container="server"}}[1m]) {JOIN})'
        ),
        "model_version:container_memory_working_set_bytes:sum": (
            f'{BY_VERSION} (container_memory_working_set_bytes{{container="server"}} {JOIN})'
        ),
    }
    return {
        "groups": [
            {
                "name": "modelway",
                "rules": [{"record": record, "expr": expr} for record, expr in records.items()],
            },
            *quality_groups(),
            *slo_groups(slos),
            *quality_alert_groups(qualities),
        ]
    }
