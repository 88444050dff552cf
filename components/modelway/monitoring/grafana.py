"""Kubernetes objects of one Grafana with the dashboards beside it, as plain data.

Settings are environment variables (https://grafana.com/docs/grafana/v13.2/setup-grafana/configure-grafana/). Data
source and dashboards are provisioned, and its own database ends with the pod: nothing in it is worth keeping.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import yaml

from modelway._common import Manifest, labels
from modelway._egress import DNS_EGRESS
from modelway._hardening import container_security, http_probe, pod_security
from modelway.monitoring.config import SCRAPE_INTERVAL_SECONDS
from modelway.monitoring.dashboards import dashboards

NAME = "grafana"
PORT = 3000
USER_ID = 10472
"""Above those of machines. Of the image it reads what everybody may, and all that it writes are volumes."""
IMAGE = "docker.io/grafana/grafana:13.2.2@sha256:ac461fb352abc50da10a51c7d02462e9c05488f11f53f14b3ad79a8145f638a0"
"""The official image, of the version whose schema the dashboards are judged by."""
ADMIN = "admin"
SECRET_NAME = f"{NAME}-admin"
SECRETS_FOLDER = "/etc/grafana/secrets"
PROVISIONING = "/etc/grafana/provisioning"
DASHBOARDS = "/var/lib/modelway/dashboards"
ASKED = {"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/component": "prometheus"}
"""Pods that it asks, in the same namespace, on either ground."""
ASKED_PORT = 9090


@dataclass(frozen=True)
class GrafanaSpec:
    """Everything that decides the objects of Grafana."""

    namespace: str
    image: Any
    admin_password: Any
    session_key: Any
    """What Grafana signs and encrypts with."""
    password_mark: Any
    """Changes with the password, which Grafana reads only when it starts."""
    external_url: str = ""
    """Where people open it; empty for its address in the cluster."""
    clients_namespaces: tuple[str, ...] = ()
    """Namespaces whose pods may open it."""
    runbook_base_url: str = ""

    @property
    def url(self) -> str:
        """Where it is opened."""
        return self.external_url or f"http://{NAME}.{self.namespace}.svc:{PORT}"


def grafana_manifests(spec: GrafanaSpec) -> list[Manifest]:
    """All objects of Grafana, in the order in which they are created; Service and Deployment are the last."""
    config = _config_map(spec)
    return [
        _object(spec, "v1", "ServiceAccount", automountServiceAccountToken=False),
        config,
        _secret(spec),
        _network_policy(spec),
        _service(spec),
        _deployment(spec, config["metadata"]["name"]),
    ]


def _metadata(spec: GrafanaSpec, name: str = NAME) -> dict[str, Any]:
    return {"name": name, "namespace": spec.namespace, "labels": labels(NAME, NAME)}


def _object(stack: GrafanaSpec, api_version: str, kind: str, **fields: Any) -> Manifest:
    return {"apiVersion": api_version, "kind": kind, "metadata": _metadata(stack), **fields}


def _config_map(spec: GrafanaSpec) -> Manifest:
    source = {
        "name": "Prometheus",
        "uid": "prometheus",
        "type": "prometheus",
        "access": "proxy",
        "url": f"http://prometheus.{spec.namespace}.svc:{ASKED_PORT}",
        "isDefault": True,
        "editable": False,
        "jsonData": {"timeInterval": f"{SCRAPE_INTERVAL_SECONDS}s", "httpMethod": "POST"},
    }
    provider = {
        "name": "modelway",
        "folder": "Modelway",
        "type": "file",
        "allowUiUpdates": False,
        "options": {"path": DASHBOARDS},
    }
    data = {
        "datasources.yaml": yaml.safe_dump({"apiVersion": 1, "datasources": [source]}, sort_keys=False),
        "dashboards.yaml": yaml.safe_dump({"apiVersion": 1, "providers": [provider]}, sort_keys=False),
    }
    for name, page in dashboards(spec.runbook_base_url or None).items():
        data[f"{name}.json"] = json.dumps(page, separators=(",", ":"), ensure_ascii=False)
    # The name carries the content, so that changed dashboards roll the pod.
    digest = hashlib.sha256("".join(data.values()).encode()).hexdigest()[:10]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(spec, f"{NAME}-{digest}"), "data": data}


def _secret(spec: GrafanaSpec) -> Manifest:
    content = {"admin-password": spec.admin_password, "session-key": spec.session_key}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": _metadata(spec, SECRET_NAME), "stringData": content}


def _network_policy(spec: GrafanaSpec) -> Manifest:
    clients = [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}, "podSelector": {}}
        for name in spec.clients_namespaces
    ]
    asked = {"to": [{"podSelector": {"matchLabels": ASKED}}], "ports": [{"protocol": "TCP", "port": ASKED_PORT}]}
    return _object(
        spec,
        "networking.k8s.io/v1",
        "NetworkPolicy",
        spec={
            "podSelector": {"matchLabels": labels(NAME, NAME)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": clients, "ports": [{"protocol": "TCP", "port": PORT}]}] if clients else [],
            "egress": [DNS_EGRESS, asked],
        },
    )


def _service(spec: GrafanaSpec) -> Manifest:
    ports = [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}]
    own = {"type": "ClusterIP", "selector": labels(NAME, NAME), "ports": ports}
    return _object(spec, "v1", "Service", spec=own)


def _deployment(spec: GrafanaSpec, config_map: str) -> Manifest:
    # What lets its pod ask Prometheus; see `readers_namespaces` of the monitoring stack.
    pod_labels = {**labels(NAME, NAME), "modelway.dev/reads-prometheus": "true"}
    return _object(
        spec,
        "apps/v1",
        "Deployment",
        spec={
            "replicas": 1,
            "selector": {"matchLabels": labels(NAME, NAME)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {
                "metadata": {
                    "labels": pod_labels,
                    "annotations": {"modelway.dev/password-mark": spec.password_mark},
                },
                "spec": {
                    "serviceAccountName": NAME,
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 30,
                    "securityContext": pod_security(USER_ID),
                    "containers": [_container(spec)],
                    "volumes": _volumes(config_map),
                },
            },
        },
    )


def _container(spec: GrafanaSpec) -> dict[str, Any]:
    return {
        "name": NAME,
        "image": spec.image,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": f"GF_{name}", "value": value} for name, value in grafana_settings(spec).items()],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "startupProbe": http_probe("/api/health", "http", 2, 90, timeout_seconds=3),
        "readinessProbe": http_probe("/api/health", "http", 5, 3, timeout_seconds=3),
        "livenessProbe": http_probe("/api/health", "http", 15, 4, timeout_seconds=3),
        "resources": {
            "requests": {"cpu": "50m", "memory": "192Mi"},
            "limits": {"cpu": "500m", "memory": "512Mi"},
        },
        "securityContext": container_security(USER_ID),
        "volumeMounts": [
            {"name": "provisioning", "mountPath": PROVISIONING, "readOnly": True},
            {"name": "dashboards", "mountPath": DASHBOARDS, "readOnly": True},
            {"name": "secrets", "mountPath": SECRETS_FOLDER, "readOnly": True},
            {"name": "data", "mountPath": "/var/lib/grafana"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
    }


def grafana_settings(spec: GrafanaSpec) -> dict[str, str]:
    """Settings by `SECTION_NAME`: nobody without a password, nothing asked of the internet, secrets from files."""
    address = urlsplit(spec.url)
    return {
        "SECURITY_ADMIN_USER": ADMIN,
        "SECURITY_ADMIN_PASSWORD__FILE": f"{SECRETS_FOLDER}/admin-password",
        "SECURITY_SECRET_KEY__FILE": f"{SECRETS_FOLDER}/session-key",
        "SECURITY_COOKIE_SECURE": str(address.scheme == "https").lower(),
        "SECURITY_COOKIE_SAMESITE": "strict",
        "SECURITY_DISABLE_GRAVATAR": "true",
        "AUTH_ANONYMOUS_ENABLED": "false",
        "USERS_ALLOW_SIGN_UP": "false",
        "SERVER_ROOT_URL": spec.url,
        "SERVER_SERVE_FROM_SUB_PATH": str(address.path.strip("/") != "").lower(),
        "ANALYTICS_REPORTING_ENABLED": "false",
        "ANALYTICS_CHECK_FOR_UPDATES": "false",
        "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "NEWS_NEWS_FEED_ENABLED": "false",
        "PLUGINS_PREINSTALL_DISABLED": "true",
        "PLUGINS_PLUGIN_ADMIN_ENABLED": "false",
        "SNAPSHOTS_EXTERNAL_ENABLED": "false",
        "PATHS_PROVISIONING": PROVISIONING,
        "LOG_MODE": "console",
        "DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": f"{DASHBOARDS}/fleet.json",
    }


def _volumes(config_map: str) -> list[dict[str, Any]]:
    def files(*items: tuple[str, str]) -> dict[str, Any]:
        return {"name": config_map, "items": [{"key": key, "path": path} for key, path in items]}

    provisioned = files(
        ("datasources.yaml", "datasources/modelway.yaml"), ("dashboards.yaml", "dashboards/modelway.yaml")
    )
    return [
        {"name": "provisioning", "configMap": provisioned},
        {"name": "dashboards", "configMap": files(*((f"{name}.json",) * 2 for name in dashboards()))},
        {"name": "secrets", "secret": {"secretName": SECRET_NAME, "defaultMode": 0o440}},
        {"name": "data", "emptyDir": {"sizeLimit": "256Mi"}},
        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
    ]
