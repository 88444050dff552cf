"""Kubernetes objects of one model version, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelway._common import Manifest, labels
from modelway._hardening import container_security, http_probe, pod_security, topology_spread
from modelway.serving.autoscaling import autoscaler
from modelway.serving.autoscaling_checks import Autoscaling
from modelway.serving.fetch import Fetch, fetch_container, fetch_egress, fetch_volumes, model_mount
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
from modelway.tracing.arguments import ServerTraces
from modelway.tracing.objects import server_egress

COMPONENT = "model-server"
SHADOW_LABEL = "modelway.dev/shadow"
"""Label `"true"` of the pods that get copies of requests only; no selector has it, so that it can come and go."""
PROXY_LABELS = {"app.kubernetes.io/component": "proxy"}
"""Labels of Envoy Gateway's proxies."""
PROGRESS_SECONDS = 300
"""How long a rollout may stand still; longer where a server takes longer to start."""
HUNG_GRACE_SECONDS = 5
"""How long a container that failed its liveness probe may take to end."""
GPU = "nvidia.com/gpu"


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
    fetch: Fetch | None = None
    """Where the model is; None: in the image."""
    traces: ServerTraces | None = None
    """Where spans go; None: nowhere."""
    shadow: bool = False
    """Whether the version gets copies of requests instead of a share."""
    gateway_pods: Mapping[str, str] = field(default_factory=lambda: PROXY_LABELS)
    """Labels of the pods in `gateway_namespace` that reach the `http` port; none: all of them."""

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

    @property
    def max_replicas(self) -> int:
        """Pods that run at most."""
        return self.autoscaling.max_replicas if self.autoscaling else self.replicas

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
        _deployment(spec),
        # The provider holds a Service until a pod stands behind it. Before its Deployment, some of them would take all
        # places of the engine's, and no Deployment would ever get one.
        _service(spec),
    ]
    if spec.max_replicas >= 2:
        manifests.append(_pod_disruption_budget(spec))
    if spec.autoscaling:
        manifests.append(autoscaler(spec.metadata(), spec.model, spec.version, spec.autoscaling))
    return manifests


def feedback_key_manifest(model: str, namespace: str, key: Any) -> Manifest:
    """The Secret with the key of all versions of a model; `key` is base64, or a value that becomes that."""
    name = f"{model}-feedback-key"
    metadata = {"name": name, "namespace": namespace, "labels": labels(model, "feedback-key")}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {FEEDBACK_KEY: key}}


def _service_account(spec: ServerSpec) -> Manifest:
    metadata = spec.metadata()
    if spec.fetch is not None and spec.fetch.identity_annotations:
        metadata["annotations"] = dict(spec.fetch.identity_annotations)
    manifest: Manifest = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata,
        "automountServiceAccountToken": False,
    }
    if spec.pull_secret is not None:
        manifest["imagePullSecrets"] = [{"name": spec.pull_secret}]
    return manifest


def _network_policy(spec: ServerSpec) -> Manifest:
    def allow(namespace: str, pods: Mapping[str, str], port: int) -> dict[str, Any]:
        source: dict[str, Any] = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
        if pods:
            source["podSelector"] = {"matchLabels": dict(pods)}
        return {"from": [source], "ports": [{"protocol": "TCP", "port": port}]}

    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": spec.metadata(),
        "spec": {
            "podSelector": {"matchLabels": spec.selector()},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                allow(spec.gateway_namespace, spec.gateway_pods, spec.server.port),
                allow(
                    spec.monitoring_namespace,
                    {"app.kubernetes.io/component": "prometheus"},
                    spec.server.metrics_port,
                ),
            ],
            "egress": _egress(spec),
        },
    }


def _egress(spec: ServerSpec) -> list[dict[str, Any]]:
    rules = fetch_egress(spec.fetch) if spec.fetch is not None else []
    return [*rules, *(rule for rule in server_egress(spec.traces) if rule not in rules)]


def _service(spec: ServerSpec) -> Manifest:
    metadata = spec.metadata()
    if spec.min_replicas == 0:
        # Pulumi holds a Service until a pod stands behind it, and this one may be asleep.
        metadata["annotations"] = {"pulumi.com/skipAwait": "true"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "type": "ClusterIP",
            "selector": spec.selector(),
            "ports": [{"name": "http", "port": HTTP_PORT, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def _deployment(spec: ServerSpec) -> Manifest:
    server, metadata = spec.server, spec.metadata()
    fetch_seconds = spec.fetch.seconds if spec.fetch is not None else 0
    progress_seconds = max(PROGRESS_SECONDS, server.startup_seconds + 180) + fetch_seconds
    if progress_seconds > PROGRESS_SECONDS:
        # Pulumi waits ten minutes by itself, and a rollout starts one pod after the other.
        metadata["annotations"] = {"pulumi.com/timeoutSeconds": str(progress_seconds * max(1, spec.min_replicas))}
    deployment: dict[str, Any] = {
        "selector": {"matchLabels": spec.selector()},
        "minReadySeconds": 5,
        "progressDeadlineSeconds": progress_seconds,
        "revisionHistoryLimit": 5,
        # A pod is added before one is taken away: Recreate and a deficit both lose requests.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {
            "metadata": {
                "labels": {
                    **labels(spec.model, COMPONENT, spec.version),
                    **({SHADOW_LABEL: "true"} if spec.shadow else {}),
                },
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
    pod: dict[str, Any] = {
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
    if spec.fetch is not None:
        pod["initContainers"] = [fetch_container(spec.fetch, spec.image, server)]
        pod["volumes"] = [*pod["volumes"], *fetch_volumes(spec.fetch)]
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
    container: dict[str, Any] = {
        "name": "server",
        "image": spec.image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in server.ports.items()],
        "env": _environment(server),
        "startupProbe": http_probe(server.ready_path, probed, 1, server.startup_seconds),
        # A server that hangs gets no more requests within 4 s and is started again within 30 s: three failures in a
        # row, and no drain for what does not answer anyway.
        "readinessProbe": http_probe(server.ready_path, probed, 1, 3, timeout_seconds=1),
        "livenessProbe": {
            **http_probe(server.health_path, probed, 5, 3),
            "terminationGracePeriodSeconds": HUNG_GRACE_SECONDS,
        },
        "lifecycle": {"preStop": {"sleep": {"seconds": spec.drain_seconds}}},
        "resources": {"requests": {"cpu": size.cpu_request, "memory": size.memory_request}, "limits": limits},
        "securityContext": container_security(server.user_id),
        "volumeMounts": [mount for _, mount in _folders(server)],
    }
    if spec.fetch is not None:
        container["volumeMounts"].append(model_mount())
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
