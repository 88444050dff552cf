"""Kubernetes objects of one plain Alertmanager, as plain data."""

import hashlib
from dataclasses import dataclass
from typing import Any

import yaml

from modelway._common import Manifest, labels
from modelway._hardening import container_security, http_probe, pod_security
from modelway.monitoring.receivers import Alerting, alerting_egress, alertmanager_config, secret_files

NAME = "alertmanager"
PORT = 9093
USER_ID = 65534
SECRET_NAME = f"{NAME}-receivers"
SECRETS_FOLDER = "/etc/alertmanager/secrets"
ASKING = "prometheus"
"""Component whose pods bring alerts, in the same namespace."""


@dataclass(frozen=True)
class AlertmanagerSpec:
    """Everything that decides the objects of Alertmanager."""

    namespace: str
    image: Any
    alerting: Alerting
    external_url: str = ""
    """Where people open it: links in notifications lead there; empty for its address in the cluster."""

    @property
    def address(self) -> str:
        """Host and port inside the cluster."""
        return f"{NAME}.{self.namespace}.svc:{PORT}"


def alertmanager_manifests(spec: AlertmanagerSpec) -> list[Manifest]:
    """All objects of Alertmanager, in the order in which they are created; Service and Deployment are the last."""
    config = _config_map(spec)
    return [
        _object(spec, "v1", "ServiceAccount", automountServiceAccountToken=False),
        config,
        secret_manifest(spec.namespace, SECRET_NAME, spec.alerting),
        _network_policy(spec),
        _service(spec),
        _deployment(spec, config["metadata"]["name"]),
    ]


def secret_manifest(namespace: str, name: str, alerting: Alerting) -> Manifest:
    """What authenticates at the receivers: one file each, which Alertmanager reads anew for each notification."""
    metadata = {"name": name, "namespace": namespace, "labels": labels(NAME, NAME)}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": secret_files(alerting.receivers)}


def _metadata(spec: AlertmanagerSpec, name: str = NAME) -> dict[str, Any]:
    return {"name": name, "namespace": spec.namespace, "labels": labels(NAME, NAME)}


def _object(stack: AlertmanagerSpec, api_version: str, kind: str, **fields: Any) -> Manifest:
    return {"apiVersion": api_version, "kind": kind, "metadata": _metadata(stack), **fields}


def _config_map(spec: AlertmanagerSpec) -> Manifest:
    config = alertmanager_config(spec.alerting, SECRETS_FOLDER)
    data = {"alertmanager.yml": yaml.safe_dump(config, sort_keys=False, width=1000)}
    # The name carries the content, so that a changed configuration rolls the pod.
    digest = hashlib.sha256("".join(data.values()).encode()).hexdigest()[:10]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(spec, f"{NAME}-{digest}"), "data": data}


def _network_policy(spec: AlertmanagerSpec) -> Manifest:
    asking = {"podSelector": {"matchLabels": {"app.kubernetes.io/component": ASKING}}}
    return _object(
        spec,
        "networking.k8s.io/v1",
        "NetworkPolicy",
        spec={
            "podSelector": {"matchLabels": labels(NAME, NAME)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [asking], "ports": [{"protocol": "TCP", "port": PORT}]}],
            "egress": alerting_egress(spec.alerting),
        },
    )


def alertmanager_egress() -> dict[str, Any]:
    """Egress rule of Prometheus beside it."""
    pods = {"podSelector": {"matchLabels": labels(NAME, NAME)}}
    return {"to": [pods], "ports": [{"protocol": "TCP", "port": PORT}]}


def _service(spec: AlertmanagerSpec) -> Manifest:
    ports = [{"name": "http", "port": PORT, "targetPort": "http", "protocol": "TCP"}]
    own = {"type": "ClusterIP", "selector": labels(NAME, NAME), "ports": ports}
    return _object(spec, "v1", "Service", spec=own)


def _deployment(spec: AlertmanagerSpec, config_map: str) -> Manifest:
    return _object(
        spec,
        "apps/v1",
        "Deployment",
        spec={
            "replicas": 1,
            "selector": {"matchLabels": labels(NAME, NAME)},
            # Two that do not know each other would both notify.
            "strategy": {"type": "Recreate"},
            "template": {
                "metadata": {"labels": labels(NAME, NAME)},
                "spec": {
                    "serviceAccountName": NAME,
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 30,
                    "securityContext": pod_security(USER_ID),
                    "containers": [_container(spec)],
                    "volumes": [
                        {"name": "config", "configMap": {"name": config_map}},
                        {"name": "secrets", "secret": {"secretName": SECRET_NAME, "defaultMode": 0o440}},
                        {"name": "data", "emptyDir": {"sizeLimit": "64Mi"}},
                    ],
                },
            },
        },
    )


def _container(spec: AlertmanagerSpec) -> dict[str, Any]:
    return {
        "name": NAME,
        "image": spec.image,
        "imagePullPolicy": "IfNotPresent",
        "args": [
            "--config.file=/etc/alertmanager/config/alertmanager.yml",
            "--storage.path=/alertmanager",
            # One instance: the gossip port stays closed.
            "--cluster.listen-address=",
            f"--web.external-url={spec.external_url or f'http://{spec.address}'}",
            # Whatever path the external URL has, probes and Prometheus ask without it.
            "--web.route-prefix=/",
        ],
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "startupProbe": http_probe("/-/ready", "http", 1, 120, timeout_seconds=3),
        "readinessProbe": http_probe("/-/ready", "http", 5, 3, timeout_seconds=3),
        "livenessProbe": http_probe("/-/healthy", "http", 15, 4, timeout_seconds=3),
        "resources": {
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {"cpu": "200m", "memory": "128Mi"},
        },
        "securityContext": container_security(USER_ID),
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/alertmanager/config", "readOnly": True},
            {"name": "secrets", "mountPath": SECRETS_FOLDER, "readOnly": True},
            {"name": "data", "mountPath": "/alertmanager"},
        ],
    }
