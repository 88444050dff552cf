"""Kubernetes objects of one model version, as plain data."""

from dataclasses import dataclass
from typing import Any

from modelway._common import Manifest, labels
from modelway._hardening import container_security, http_probe, pod_security, topology_spread
from modelway.serving.runtimes import (
    FEEDBACK_KEY,
    FEEDBACK_KEY_FOLDER,
    HTTP_PORT,
    KEYS_FOLDER,
    TEMPORARY,
    Options,
    Resources,
    Runtime,
    runtime_of,
)

COMPONENT = "model-server"
PROGRESS_SECONDS = 300
"""How long a rollout may stand still; longer where a server takes longer to start."""
GPU = "nvidia.com/gpu"


@dataclass(frozen=True)
class Autoscaling:
    """Bounds of the HorizontalPodAutoscaler; with it `replicas` is left out of the Deployment."""

    min_replicas: int
    max_replicas: int
    cpu_utilization_percent: int = 70


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
    runtime: Runtime | None = None
    """How it is served; None: by our own server, nothing switched on."""
    resources: Resources | None = None
    """None: what the runtime needs at least."""
    drain_seconds: int = 10
    """How long a pod keeps serving after its deletion began, so that the gateway learns of it first."""
    pull_secret: Any = None

    @property
    def name(self) -> str:
        """Name of the Deployment, the Service and all the rest."""
        return f"{self.model}-{self.version}"

    @property
    def server(self) -> Runtime:
        """How it is served."""
        return self.runtime or runtime_of(self.model, self.version, Options())

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


def feedback_key_manifest(model: str, namespace: str, key: Any) -> Manifest:
    """The Secret with the key of all versions of a model; `key` is base64, or a value that becomes that."""
    name = f"{model}-feedback-key"
    metadata = {"name": name, "namespace": namespace, "labels": labels(model, "feedback-key")}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {FEEDBACK_KEY: key}}


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
                allow(spec.gateway_namespace, {"app.kubernetes.io/component": "proxy"}, spec.server.port),
                allow(
                    spec.monitoring_namespace,
                    {"app.kubernetes.io/component": "prometheus"},
                    spec.server.metrics_port,
                ),
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
    server, metadata = spec.server, spec.metadata()
    progress_seconds = max(PROGRESS_SECONDS, server.startup_seconds + 180)
    if progress_seconds > PROGRESS_SECONDS:
        # Pulumi waits ten minutes by itself, and a rollout starts one pod after the other.
        metadata["annotations"] = {"pulumi.com/timeoutSeconds": str(progress_seconds * spec.min_replicas)}
    deployment: dict[str, Any] = {
        "selector": {"matchLabels": spec.selector()},
        "minReadySeconds": 5,
        "progressDeadlineSeconds": progress_seconds,
        "revisionHistoryLimit": 5,
        # A pod is added before one is taken away: Recreate and a deficit both lose requests.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {
            "metadata": {
                "labels": labels(spec.model, COMPONENT, spec.version),
                "annotations": {
                    "prometheus.io/scrape": "true",
                    "prometheus.io/port": str(server.metrics_port),
                    "prometheus.io/path": server.metrics_path,
                },
            },
            "spec": _pod(spec),
        },
    }
    if spec.autoscaling is None:
        deployment["replicas"] = spec.replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": deployment}


def _pod(spec: ServerSpec) -> dict[str, Any]:
    server = spec.server
    pod = {
        "serviceAccountName": spec.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # The pod leaves the endpoints, serves on while the gateway learns of it, then finishes what runs.
        "terminationGracePeriodSeconds": spec.drain_seconds + server.request_timeout_seconds + 10,
        "securityContext": pod_security(server.user_id),
        "topologySpreadConstraints": topology_spread({"matchLabels": spec.selector()}),
        "containers": [_container(spec)],
        "volumes": [volume for volume, _ in _folders(server)],
    }
    if server.gpus:
        # Nodes with GPUs are commonly tainted so, to keep everything else away.
        pod["tolerations"] = [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    return pod


def _folders(server: Runtime) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Every volume with its mount."""
    folders = [("tmp", TEMPORARY, {"sizeLimit": server.temporary_size})]
    folders += [(f"writable-{i}", path, {"sizeLimit": "1Gi"}) for i, path in enumerate(server.writable_paths)]
    if server.shared_memory:
        folders.append(("shared-memory", "/dev/shm", {"medium": "Memory", "sizeLimit": server.shared_memory}))  # noqa: S108
    result: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"name": name, "emptyDir": size}, {"name": name, "mountPath": path}) for name, path, size in folders
    ]
    if server.feedback_key_secret is not None:
        secret = {"secretName": server.feedback_key_secret, "defaultMode": 0o440}
        mount = {"name": "feedback-key", "mountPath": FEEDBACK_KEY_FOLDER, "readOnly": True}
        result.append(({"name": "feedback-key", "secret": secret}, mount))
    if server.secret_files:
        sources = [
            {"secret": {"name": reference.secret, "items": [{"key": reference.key, "path": name}]}}
            for name, reference in server.secret_files.items()
        ]
        mount = {"name": "secret-files", "mountPath": KEYS_FOLDER, "readOnly": True}
        result.append(({"name": "secret-files", "projected": {"sources": sources, "defaultMode": 0o440}}, mount))
    return result


def _container(spec: ServerSpec) -> dict[str, Any]:
    server, size = spec.server, spec.resources or spec.server.resources
    limits = {"cpu": size.cpu_limit, "memory": size.memory_limit}
    if server.gpus:
        limits[GPU] = str(server.gpus)
    probed = server.probe_port_name
    container = {
        "name": "server",
        "image": spec.image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in server.ports.items()],
        "env": _environment(server),
        "startupProbe": http_probe(server.ready_path, probed, 1, server.startup_seconds),
        "readinessProbe": http_probe(server.ready_path, probed, 2, 2),
        "livenessProbe": http_probe(server.health_path, probed, 10, 2),
        "lifecycle": {"preStop": {"sleep": {"seconds": spec.drain_seconds}}},
        "resources": {"requests": {"cpu": size.cpu_request, "memory": size.memory_request}, "limits": limits},
        "securityContext": container_security(server.user_id),
        "volumeMounts": [mount for _, mount in _folders(server)],
    }
    if server.command:
        container["command"] = list(server.command)
    if server.args:
        container["args"] = list(server.args)
    return container


def _environment(server: Runtime) -> list[dict[str, Any]]:
    fields = {name: {"fieldRef": {"fieldPath": path}} for name, path in server.field_env.items()}
    files = {name: f"{KEYS_FOLDER}/{name}" for name in server.secret_files}
    return [
        *({"name": name, "value": value} for name, value in {**server.env, **files}.items()),
        *({"name": name, "valueFrom": source} for name, source in fields.items()),
    ]


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
