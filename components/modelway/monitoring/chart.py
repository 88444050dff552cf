"""What kube-prometheus-stack is told, and the policies around its pods, as plain data.

Values are those of https://github.com/prometheus-community/helm-charts, charts/kube-prometheus-stack at the version
below. Of the chart only the operator and its Prometheus run: its own scrapes and rules would count containers twice or
need kube-state-metrics, and Alertmanager is that of the plain ground.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelway._common import Manifest, labels
from modelway._egress import DNS_EGRESS, api_server_egress
from modelway._hardening import container_security, pod_security
from modelway.monitoring.config import ACCOUNT_DIRECTORY, SCRAPE_INTERVAL_SECONDS
from modelway.monitoring.objects import NAME, PORT, USER_ID, MonitoringSpec, claim_spec, config_of
from modelway.monitoring.operator import OPERATOR_VERSION, SELECTED, remote_write, scrape_classes
from modelway.monitoring.remote_write import pod_metadata

CHART = "oci://ghcr.io/prometheus-community/charts/kube-prometheus-stack"
CHART_VERSION = "88.5.3"
RELEASE = "kube-prometheus-stack"
PROMETHEUS_VERSION = "v3.13.1"
"""Features of the image that the operator may count on; the image itself may be named by nothing but its digest."""
OPERATOR = "prometheus-operator"
RELOADER = "prometheus-config-reloader"
OPERATOR_PODS = {"modelway.dev/part": OPERATOR}
"""Label of the operator's pods: the chart gives them the recommended ones itself, and takes none twice."""
_SCRAPERS = (
    *("kubernetesServiceMonitors", "kubeApiServer", "kubelet", "kubeControllerManager", "coreDns", "kubeDns"),
    *("kubeEtcd", "kubeScheduler", "kubeProxy", "kubeStateMetrics", "nodeExporter", "windowsMonitoring", "thanosRuler"),
)


@dataclass(frozen=True)
class ChartSpec:
    """What the chart is told beside what decides the plain ground."""

    prometheus: Mapping[str, str]
    """Image of Prometheus, as `image_values` gives it."""
    operator: Mapping[str, str]
    reloader: Mapping[str, str]


def image_values(image: str) -> dict[str, str]:
    """`registry/repository:tag@sha256:digest` in the four parts that the chart takes; Docker Hub where there is no
    registry, no tag and no digest where there are none."""
    rest, _, digest = image.partition("@sha256:")
    first, slash, path = rest.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, path = "docker.io", rest
    folder, slash, last = path.rpartition("/")
    name, _, tag = last.partition(":")
    return {"registry": first, "repository": f"{folder}{slash}{name}", "tag": tag, "sha": digest}


OPERATOR_IMAGE = f"quay.io/prometheus-operator/{OPERATOR}:v{OPERATOR_VERSION}"
RELOADER_IMAGE = f"quay.io/prometheus-operator/{RELOADER}:v{OPERATOR_VERSION}"


def chart_values(spec: MonitoringSpec, chart: ChartSpec) -> dict[str, Any]:
    """Values of the chart: nothing that watches or scrapes beside ours, no webhooks, no CRDs, hardened pods."""
    return {
        # Of the objects: the Service of Prometheus is ours, and named as that of the plain ground.
        "fullnameOverride": RELEASE,
        "crds": {"enabled": False},
        "defaultRules": {"create": False},
        "global": {"rbac": {"create": True, "createAggregateClusterRoles": False}},
        **{name: {"enabled": False} for name in _SCRAPERS},
        "alertmanager": {"enabled": False},
        "grafana": {"enabled": False, "forceDeployDashboards": False, "forceDeployDatasources": False},
        "prometheusOperator": _operator(chart),
        "prometheus": {
            "serviceAccount": {"create": False, "name": NAME},
            "service": {"enabled": False},
            "serviceMonitor": {"selfMonitor": False},
            "prometheusSpec": prometheus_spec(spec, chart),
        },
    }


def _operator(chart: ChartSpec) -> dict[str, Any]:
    return {
        # Its webhooks would need rights on every webhook of the cluster; rules are checked before they are written.
        "admissionWebhooks": {"enabled": False, "patch": {"enabled": False}},
        "tls": {"enabled": False},
        "kubeletService": {"enabled": False},
        "kubeletEndpointsEnabled": False,
        "namespaces": {"releaseNamespace": True, "additional": []},
        "serviceMonitor": {"selfMonitor": False},
        "image": chart.operator,
        "prometheusConfigReloader": {
            "image": chart.reloader,
            "resources": _resources("10m", "32Mi", "100m", "64Mi"),
        },
        "podLabels": OPERATOR_PODS,
        "resources": _resources("50m", "128Mi", "500m", "512Mi"),
        "securityContext": pod_security(USER_ID),
        "containerSecurityContext": container_security(USER_ID),
    }


def prometheus_spec(spec: MonitoringSpec, chart: ChartSpec) -> dict[str, Any]:
    """`prometheus.prometheusSpec`, most of which becomes the `spec` of the object Prometheus as it is."""
    config = config_of(spec)
    own = {"matchLabels": {"kubernetes.io/metadata.name": spec.namespace}}
    found: dict[str, Any] = {}
    for kind in ("rule", "scrapeConfig", "serviceMonitor", "podMonitor", "probe"):
        found[f"{kind}NamespaceSelector"] = own
        found[f"{kind}Selector"] = {"matchLabels": SELECTED}
        found[f"{kind}SelectorNilUsesHelmValues"] = False
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    ]
    return {
        **found,
        "image": chart.prometheus,
        "version": PROMETHEUS_VERSION,
        "replicas": 1,
        # By these the Service, the policy and who asks find the pod, as that of the plain ground.
        "podMetadata": pod_metadata(labels(NAME, NAME), spec.remote_write),
        "portName": "http",
        "externalUrl": spec.external_url or f"http://{NAME}.{spec.namespace}.svc:{PORT}",
        "routePrefix": "/",
        "scrapeInterval": f"{SCRAPE_INTERVAL_SECONDS}s",
        "evaluationInterval": f"{SCRAPE_INTERVAL_SECONDS}s",
        "scrapeClasses": scrape_classes(config),
        "remoteWrite": [remote_write(each) for each in config.get("remote_write", [])],
        "additionalAlertManagerConfigs": config.get("alerting", {}).get("alertmanagers", []),
        # Alerts have no other labels than those of the plain ground.
        "prometheusExternalLabelNameClear": True,
        "replicaExternalLabelNameClear": True,
        "retention": f"{spec.retention_hours}h",
        "retentionSize": f"{spec.storage_mb * 8 // 10}MB",
        "storageSpec": {"volumeClaimTemplate": {"spec": claim_spec(spec)}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"},
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "volumes": [{"name": "account", "projected": {"sources": sources}}],
        "volumeMounts": [{"name": "account", "mountPath": ACCOUNT_DIRECTORY, "readOnly": True}],
        "securityContext": pod_security(USER_ID),
        "resources": _resources("50m", "256Mi", "1", "1Gi"),
    }


def _resources(cpu_request: str, memory_request: str, cpu_limit: str, memory_limit: str) -> dict[str, Any]:
    return {
        "requests": {"cpu": cpu_request, "memory": memory_request},
        "limits": {"cpu": cpu_limit, "memory": memory_limit},
    }


def operator_network_policy(spec: MonitoringSpec) -> Manifest:
    """The operator reaches the API server and nothing else, and nobody reaches it."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": OPERATOR, "namespace": spec.namespace, "labels": labels(OPERATOR, OPERATOR)},
        "spec": {
            "podSelector": {"matchLabels": OPERATOR_PODS},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [DNS_EGRESS, api_server_egress(spec.api_server_cidrs)],
        },
    }
