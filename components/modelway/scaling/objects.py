"""Kubernetes objects of KEDA, as plain data.

Objects of our own and not its chart: the chart asks for the right to read everything, and what is tested here is what
runs. KEDA's CRDs come from its Go module.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from modelway._common import Manifest, labels
from modelway._egress import ANYWHERE, DNS_EGRESS, api_server_egress
from modelway._hardening import container_security, http_probe, pod_security
from modelway.monitoring.config import ACCOUNT_DIRECTORY
from modelway.monitoring.objects import PORT as PROMETHEUS_PORT
from modelway.monitoring.objects import READER_LABEL
from modelway.scaling.access import ADAPTER, API_SERVICE, CERTIFICATES, OPERATOR, access_manifests

NAMESPACE = "modelway-keda"
USER_ID = 65532
GRPC_PORT, PROBE_PORT, API_PORT = 9666, 8081, 6443
CERTIFICATES_FOLDER = "/certs"


@dataclass(frozen=True)
class KedaSpec:
    """Everything that decides KEDA's objects."""

    operator_image: Any
    """Text, or a value that becomes text while deploying."""
    metrics_server_image: Any
    models_namespaces: tuple[str, ...]
    namespace: str = NAMESPACE
    monitoring_namespace: str = "modelway-monitoring"
    api_server_cidrs: tuple[str, ...] = (ANYWHERE,)


@cache
def crd_manifests() -> tuple[Manifest, ...]:
    """KEDA's CRDs without descriptions, as `make crds` writes them: one object a line."""
    text = resources.files("modelway.scaling").joinpath("keda_crds.jsonl").read_text(encoding="utf-8")
    return tuple(json.loads(line) for line in text.splitlines())


def keda_manifests(spec: KedaSpec) -> list[Manifest]:
    """All objects but the CRDs, in the order in which they are created: the operator makes the certificate that the
    metrics server waits for, and both are there before the API server asks."""
    return [
        *(_account(spec, name) for name in (OPERATOR, ADAPTER)),
        *access_manifests(spec.namespace, spec.models_namespaces),
        *network_policies(spec),
        _service(spec, OPERATOR, "metrics", GRPC_PORT, "grpc"),
        _service(spec, ADAPTER, "https", 443, "https"),
        _deployment(spec, OPERATOR, _operator(spec), ["own-certificates", "account"]),
        _deployment(spec, ADAPTER, _metrics_server(spec), ["certificates", "account", "tmp"]),
        _api_service(spec),
    ]


def network_policies(spec: KedaSpec) -> list[Manifest]:
    """What each part may reach, and who may reach it; everything else is denied."""
    api_server = api_server_egress(spec.api_server_cidrs)
    operator_pods = {"podSelector": {"matchLabels": _labels(OPERATOR)}}
    prometheus = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": spec.monitoring_namespace}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/component": "prometheus"}},
    }
    # The API server is no pod: where its address is not known, the port is open, and guarded by TLS.
    cidrs = [cidr for cidr in spec.api_server_cidrs if ANYWHERE not in spec.api_server_cidrs]
    callers = {"from": [{"ipBlock": {"cidr": cidr}} for cidr in cidrs]} if cidrs else {}
    figures = {"to": [prometheus], "ports": _tcp(PROMETHEUS_PORT)}
    asked = {"from": [{"podSelector": {"matchLabels": _labels(ADAPTER)}}], "ports": _tcp(GRPC_PORT)}
    return [
        _policy(spec, OPERATOR, [asked], [DNS_EGRESS, api_server, figures]),
        _policy(
            spec,
            ADAPTER,
            [{**callers, "ports": _tcp(API_PORT)}],
            [DNS_EGRESS, api_server, {"to": [operator_pods], "ports": _tcp(GRPC_PORT)}],
        ),
    ]


def _labels(name: str) -> dict[str, str]:
    return labels("keda", name)


def _metadata(spec: KedaSpec, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": spec.namespace, "labels": _labels(name)}


def _tcp(port: int) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port}]


def _account(spec: KedaSpec, name: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(spec, name),
        "automountServiceAccountToken": False,
    }


def _policy(spec: KedaSpec, name: str, ingress: list[dict[str, Any]], egress: list[dict[str, Any]]) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(spec, name),
        "spec": {
            "podSelector": {"matchLabels": _labels(name)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": egress,
        },
    }


def _service(spec: KedaSpec, name: str, port_name: str, port: int, target: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(spec, name),
        "spec": {
            "type": "ClusterIP",
            "selector": _labels(name),
            "ports": [{"name": port_name, "port": port, "targetPort": target, "protocol": "TCP"}],
        },
    }


def _api_service(spec: KedaSpec) -> Manifest:
    """The API of the figures; the operator writes its certificate authority into it."""
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": API_SERVICE, "labels": _labels(ADAPTER)},
        "spec": {
            "group": "external.metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"name": ADAPTER, "namespace": spec.namespace, "port": 443},
        },
    }


def _deployment(spec: KedaSpec, name: str, container: dict[str, Any], volumes: list[str]) -> Manifest:
    pod_labels = _labels(name) | ({READER_LABEL: "true"} if name == OPERATOR else {})
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(spec, name),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": _labels(name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": pod_labels},
                "spec": {
                    "serviceAccountName": name,
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 10,
                    "securityContext": pod_security(USER_ID),
                    "containers": [container],
                    "volumes": [_VOLUMES[volume] for volume in volumes],
                },
            },
        },
    }


_VOLUMES: dict[str, dict[str, Any]] = {
    "certificates": {
        "name": "certificates",
        "secret": {"secretName": CERTIFICATES, "defaultMode": 0o440},
    },
    # The operator makes it.
    "own-certificates": {
        "name": "certificates",
        "secret": {"secretName": CERTIFICATES, "defaultMode": 0o440, "optional": True},
    },
    "account": {
        "name": "account",
        "projected": {
            "sources": [
                {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
                {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            ]
        },
    },
    "tmp": {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}},
}
_MOUNTS: dict[str, dict[str, Any]] = {
    "certificates": {"name": "certificates", "mountPath": CERTIFICATES_FOLDER, "readOnly": True},
    "account": {"name": "account", "mountPath": ACCOUNT_DIRECTORY, "readOnly": True},
    "tmp": {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
}


def _operator(spec: KedaSpec) -> dict[str, Any]:
    return {
        **_common(spec, OPERATOR, spec.operator_image, ["certificates", "account"]),
        "command": ["/keda"],
        "args": [
            "--leader-elect",
            "--zap-log-level=info",
            "--zap-encoder=json",
            "--enable-cert-rotation=true",
            # No webhook: what a ScaledObject says is checked in preview.
            "--enable-webhook-patching=false",
            "--enable-prometheus-metrics=false",
        ],
        "ports": [
            {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
            {"name": "probes", "containerPort": PROBE_PORT, "protocol": "TCP"},
        ],
        "startupProbe": http_probe("/readyz", "probes", 1, 120),
        "readinessProbe": http_probe("/readyz", "probes", 5, 3),
        "livenessProbe": http_probe("/healthz", "probes", 15, 4),
    }


def _metrics_server(spec: KedaSpec) -> dict[str, Any]:
    def probe(path: str, period_seconds: int, failures: int) -> dict[str, Any]:
        found = http_probe(path, "https", period_seconds, failures)
        return {**found, "httpGet": {**found["httpGet"], "scheme": "HTTPS"}}

    files = CERTIFICATES_FOLDER
    return {
        **_common(spec, ADAPTER, spec.metrics_server_image, ["certificates", "account", "tmp"]),
        "command": ["/keda-adapter"],
        "args": [
            f"--secure-port={API_PORT}",
            "--zap-log-level=error",
            f"--client-ca-file={files}/ca.crt",
            f"--tls-cert-file={files}/tls.crt",
            f"--tls-private-key-file={files}/tls.key",
            f"--cert-dir={files}",
        ],
        "ports": [{"name": "https", "containerPort": API_PORT, "protocol": "TCP"}],
        "startupProbe": probe("/readyz", 1, 120),
        "readinessProbe": probe("/readyz", 5, 3),
        "livenessProbe": probe("/healthz", 15, 4),
    }


def _common(spec: KedaSpec, name: str, image: Any, mounts: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": [
            {"name": "WATCH_NAMESPACE", "value": ",".join(spec.models_namespaces)},
            {"name": "POD_NAMESPACE", "value": spec.namespace},
            {"name": "KEDA_CLUSTER_OBJECT_NAMESPACE", "value": spec.namespace},
        ],
        "resources": {
            "requests": {"cpu": "20m", "memory": "64Mi"},
            "limits": {"cpu": "500m", "memory": "256Mi"},
        },
        "securityContext": container_security(USER_ID),
        "volumeMounts": [_MOUNTS[mount] for mount in mounts],
    }
