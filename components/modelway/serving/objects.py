"""Kubernetes objects of one model version, as plain data."""

from dataclasses import dataclass, field
from typing import Any

from modelway._common import Manifest, labels
from modelway._hardening import container_security, http_probe, pod_security

COMPONENT = "model-server"
HTTP_PORT = 8080
ADMIN_PORT = 9090
USER_ID = 10001
REQUEST_TIMEOUT_SECONDS = 30
"""Longest that the gateway waits for an answer; a pod lives that long after it left the endpoints."""


@dataclass(frozen=True)
class Autoscaling:
    """Bounds of the HorizontalPodAutoscaler; with it `replicas` is left out of the Deployment."""

    min_replicas: int
    max_replicas: int
    cpu_utilization_percent: int = 70


@dataclass(frozen=True)
class Resources:
    """Requests and limits of the server container, as Kubernetes quantities."""

    cpu_request: str = "100m"
    cpu_limit: str = "1"
    memory_request: str = "192Mi"
    memory_limit: str = "512Mi"


@dataclass(frozen=True)
class ServerSpec:
    """Everything that decides the objects of one model version."""

    model: str
    version: str
    namespace: str
    image: Any
    """Image reference by digest: text, or a value that becomes text while deploying."""
    gateway_namespace: str
    """Where the gateway's proxies run; only they reach the `http` port."""
    monitoring_namespace: str
    """Where Prometheus runs; only it reaches the `admin` port."""
    replicas: int = 2
    autoscaling: Autoscaling | None = None
    resources: Resources = field(default_factory=Resources)
    drain_seconds: int = 10
    """How long a pod keeps serving after its deletion began, so that the gateway learns of it first."""
    pull_secret: Any = None

    @property
    def name(self) -> str:
        """Name of the Deployment, the Service and all the rest."""
        return f"{self.model}-{self.version}"

    @property
    def min_replicas(self) -> int:
        """Pods that run at least."""
        return self.autoscaling.min_replicas if self.autoscaling else self.replicas

    def selector(self) -> dict[str, str]:
        """Labels that select this version's pods and no others."""
        own = labels(self.model, COMPONENT, self.version)
        return {key: value for key, value in own.items() if key != "app.kubernetes.io/part-of"}

    def metadata(self, suffix: str = "") -> dict[str, Any]:
        """Name, namespace and labels of an object of this version."""
        return {
            "name": self.name + suffix,
            "namespace": self.namespace,
            "labels": labels(self.model, COMPONENT, self.version),
        }


def server_manifests(spec: ServerSpec) -> list[Manifest]:
    """All objects of one version, in the order in which they are created."""
    manifests = [
        _service_account(spec),
        _network_policy(spec),
        _service(spec),
        _deployment(spec),
    ]
    if spec.min_replicas >= 2:
        manifests.append(_pod_disruption_budget(spec))
    if spec.autoscaling:
        manifests.append(_autoscaler(spec, spec.autoscaling))
    return manifests


def _service_account(spec: ServerSpec) -> Manifest:
    manifest: Manifest = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": spec.metadata(),
        "automountServiceAccountToken": False,
    }
    if spec.pull_secret is not None:
        manifest["imagePullSecrets"] = [{"name": spec.pull_secret}]
    return manifest


def _network_policy(spec: ServerSpec) -> Manifest:
    def allow(namespace: str, component: dict[str, str], port: int) -> dict[str, Any]:
        source = {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "podSelector": {"matchLabels": component},
        }
        return {"from": [source], "ports": [{"protocol": "TCP", "port": port}]}

    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": spec.metadata(),
        "spec": {
            "podSelector": {"matchLabels": spec.selector()},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                allow(spec.gateway_namespace, {"app.kubernetes.io/component": "proxy"}, HTTP_PORT),
                allow(spec.monitoring_namespace, {"app.kubernetes.io/component": "prometheus"}, ADMIN_PORT),
            ],
            "egress": [],
        },
    }


def _service(spec: ServerSpec) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": spec.metadata(),
        "spec": {
            "type": "ClusterIP",
            "selector": spec.selector(),
            "ports": [{"name": "http", "port": HTTP_PORT, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def _deployment(spec: ServerSpec) -> Manifest:
    deployment: dict[str, Any] = {
        "selector": {"matchLabels": spec.selector()},
        "minReadySeconds": 5,
        "progressDeadlineSeconds": 300,
        "revisionHistoryLimit": 5,
        # A pod is added before one is taken away: Recreate and a deficit both lose requests.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {
            "metadata": {"labels": labels(spec.model, COMPONENT, spec.version)},
            "spec": _pod(spec),
        },
    }
    if spec.autoscaling is None:
        deployment["replicas"] = spec.replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": spec.metadata(), "spec": deployment}


def _pod(spec: ServerSpec) -> dict[str, Any]:
    return {
        "serviceAccountName": spec.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # The pod leaves the endpoints, serves on while the gateway learns of it, then finishes what runs.
        "terminationGracePeriodSeconds": spec.drain_seconds + REQUEST_TIMEOUT_SECONDS + 10,
        "securityContext": pod_security(USER_ID),
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": key,
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": spec.selector()},
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
        "containers": [_container(spec)],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
    }


def _container(spec: ServerSpec) -> dict[str, Any]:
    size = spec.resources
    return {
        "name": "server",
        "image": spec.image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [
            {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"},
            {"name": "admin", "containerPort": ADMIN_PORT, "protocol": "TCP"},
        ],
        "env": [
            {"name": "MODELWAY_MODEL", "value": spec.model},
            {"name": "MODELWAY_VERSION", "value": spec.version},
        ],
        "startupProbe": http_probe("/readyz", "admin", 1, 120),
        "readinessProbe": http_probe("/readyz", "admin", 2, 2),
        "livenessProbe": http_probe("/healthz", "admin", 10, 2),
        "lifecycle": {"preStop": {"sleep": {"seconds": spec.drain_seconds}}},
        "resources": {
            "requests": {"cpu": size.cpu_request, "memory": size.memory_request},
            "limits": {"cpu": size.cpu_limit, "memory": size.memory_limit},
        },
        "securityContext": container_security(USER_ID),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }


def _pod_disruption_budget(spec: ServerSpec) -> Manifest:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": spec.metadata(),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": spec.selector()},
        },
    }


def _autoscaler(spec: ServerSpec, autoscaling: Autoscaling) -> Manifest:
    target = {"type": "Utilization", "averageUtilization": autoscaling.cpu_utilization_percent}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": spec.metadata(),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": spec.name},
            "minReplicas": autoscaling.min_replicas,
            "maxReplicas": autoscaling.max_replicas,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }
