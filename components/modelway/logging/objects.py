"""Kubernetes objects of the log collector, as plain data."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml

from modelway._common import Manifest, labels
from modelway._egress import DNS_EGRESS, EKS_POD_IDENTITY, GKE_METADATA_SERVER, address_egress, host_egress
from modelway._hardening import container_security, http_probe
from modelway.logging.pipeline import (
    AUTHORIZATION,
    CLOUD_LOGGING,
    CLOUDWATCH,
    HEALTH_PORT,
    PODS_FOLDER,
    SECRET_FOLDER,
    STATE_FOLDER,
    Pipeline,
    collector_config,
)
from modelway.namespace import POD_SECURITY_VERSION

NAME = "log-collector"
NAMESPACE = "modelway-logs"
CONFIG_FOLDER = "/etc/otelcol"
USER_ID = 65532
ROOT_GROUP = 0
"""Owns the files in `/var/log/pods`, which others may not read (`0640`); no capability is needed for it."""


@dataclass(frozen=True)
class CollectorSpec:
    """Everything that decides the objects of the log collector."""

    pipeline: Pipeline
    image: Any
    namespace: str = NAMESPACE
    authorization: Any = None
    """Header for the destination; a secret."""
    identity_annotations: Mapping[str, str] = field(default_factory=dict)
    """Of the ServiceAccount, by which a cloud knows the pod."""
    egress_cidrs: tuple[str, ...] = ()
    """Networks of the destination; unless known, as narrow as its name lets it be."""


def log_namespace_manifest(name: str) -> Manifest:
    """Namespace whose pods may mount a folder of the node, which only the standard `privileged` allows.

    What else `restricted` asks for the collector keeps, except for the group; the audit log tells of every breach.
    """
    own = {
        "app.kubernetes.io/part-of": "modelway",
        "pod-security.kubernetes.io/enforce": "privileged",
        "pod-security.kubernetes.io/enforce-version": POD_SECURITY_VERSION,
        "pod-security.kubernetes.io/audit": "restricted",
        "pod-security.kubernetes.io/audit-version": POD_SECURITY_VERSION,
    }
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": own}}


def collector_manifests(spec: CollectorSpec) -> list[Manifest]:
    """All objects but the namespace and its default-deny policy, in the order in which they are created."""
    config = _config_map(spec)
    secret = [_secret(spec)] if spec.pipeline.authorized else []
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(spec) | _annotations(spec.identity_annotations),
        "automountServiceAccountToken": False,
    }
    return [account, config, *secret, _network_policy(spec), _daemon_set(spec, config["metadata"]["name"])]


def _metadata(spec: CollectorSpec, name: str = NAME) -> dict[str, Any]:
    return {"name": name, "namespace": spec.namespace, "labels": labels(NAME, NAME)}


def _annotations(annotations: Mapping[str, str]) -> dict[str, Any]:
    return {"annotations": dict(annotations)} if annotations else {}


def _config_map(spec: CollectorSpec) -> Manifest:
    text = yaml.safe_dump(collector_config(spec.pipeline), sort_keys=False, width=1000)
    # The name carries the content, so that a changed configuration rolls the pods.
    digest = hashlib.sha256(text.encode()).hexdigest()[:10]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(spec, f"{NAME}-{digest}"),
        "data": {"config.yaml": text},
    }


def _secret(spec: CollectorSpec) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(spec),
        "stringData": {AUTHORIZATION: spec.authorization},
    }


def _network_policy(spec: CollectorSpec) -> Manifest:
    to = spec.pipeline.destination
    if to.kind in (CLOUDWATCH, CLOUD_LOGGING):
        places = GKE_METADATA_SERVER if to.kind == CLOUD_LOGGING else (EKS_POD_IDENTITY,)
        rules = [host_egress("", 443, spec.egress_cidrs)]
        rules += [address_egress((cidr,), port) for cidr, port in places]
    else:
        url = urlsplit(to.url)
        port = url.port or (80 if url.scheme == "http" else 443)
        rules = [host_egress(url.hostname or "", port, spec.egress_cidrs)]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(spec),
        "spec": {
            "podSelector": {"matchLabels": labels(NAME, NAME)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [DNS_EGRESS, *rules],
        },
    }


def _daemon_set(spec: CollectorSpec, config_map: str) -> Manifest:
    own = labels(NAME, NAME)
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": _metadata(spec),
        "spec": {
            "selector": {"matchLabels": own},
            "revisionHistoryLimit": 3,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
            "template": {"metadata": {"labels": own}, "spec": _pod(spec, config_map)},
        },
    }


def _pod(spec: CollectorSpec, config_map: str) -> dict[str, Any]:
    return {
        "serviceAccountName": NAME,
        # It asks nothing of the API server; a cloud's webhook adds the token of its own that it needs.
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # Models may run on any node, those with GPUs and their taints among them.
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": ROOT_GROUP,
            "fsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(spec)],
        "volumes": _volumes(spec, config_map),
    }


def _container(spec: CollectorSpec) -> dict[str, Any]:
    mounts = [
        {"name": "config", "mountPath": f"{CONFIG_FOLDER}/config", "readOnly": True},
        {"name": "pods", "mountPath": PODS_FOLDER, "readOnly": True},
        {"name": "state", "mountPath": STATE_FOLDER},
    ]
    if spec.pipeline.authorized:
        mounts.append({"name": "secret", "mountPath": SECRET_FOLDER, "readOnly": True})
    return {
        "name": "collector",
        "image": spec.image,
        "imagePullPolicy": "IfNotPresent",
        "args": [f"--config=file:{CONFIG_FOLDER}/config/config.yaml"],
        "ports": [{"name": "health", "containerPort": HEALTH_PORT, "protocol": "TCP"}],
        "startupProbe": http_probe("/", "health", 1, 60, timeout_seconds=3),
        "readinessProbe": http_probe("/", "health", 5, 3, timeout_seconds=3),
        "livenessProbe": http_probe("/", "health", 15, 4, timeout_seconds=3),
        "resources": {
            "requests": {"cpu": "50m", "memory": "128Mi"},
            "limits": {"cpu": "1", "memory": "384Mi"},
        },
        "securityContext": {**container_security(USER_ID), "runAsGroup": ROOT_GROUP},
        "volumeMounts": mounts,
    }


def _volumes(spec: CollectorSpec, config_map: str) -> list[dict[str, Any]]:
    size = spec.pipeline.queue_mb + 64
    volumes: list[dict[str, Any]] = [
        {"name": "config", "configMap": {"name": config_map}},
        {"name": "pods", "hostPath": {"path": PODS_FOLDER, "type": "Directory"}},
        # On the node's disk, and there as long as the pod: a container that crashed goes on where it was.
        {"name": "state", "emptyDir": {"sizeLimit": f"{size}Mi"}},
    ]
    if spec.pipeline.authorized:
        volumes.append({"name": "secret", "secret": {"secretName": NAME, "defaultMode": 0o440}})
    return volumes
