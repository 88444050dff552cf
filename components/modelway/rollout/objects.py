"""Kubernetes objects of one experiment, as plain data.

Who owns what: the deployment writes `NAME-experiment` (the plan, and the whole split route as it would route by itself)
and every object here. The judge owns what is in `NAME-experiment-state` and in the Lease, which are made empty so that
they go with the experiment and its Role needs no right to create (RBAC cannot bind that to a name), and `spec.rules` of
the split route, by server-side apply, for as long as the route says that it is under this experiment.
"""

from dataclasses import dataclass
from typing import Any

from modelway._common import Manifest, labels
from modelway._egress import ANYWHERE, DNS_EGRESS, api_server_egress
from modelway._hardening import container_security, http_probe, pod_security
from modelway.monitoring.objects import READER_LABEL

COMPONENT = "rollout-judge"
PORT = 9090
USER_ID = 10001
TEMPORARY = "/tmp"  # noqa: S108 - an emptyDir of the pod
ACCOUNT_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"
PLAN, ROUTE = "plan.json", "route.json"
EXPERIMENT_ANNOTATION = "modelway.dev/experiment"
"""On the split route: the experiment whose judge owns `spec.rules`. A route without it is nobody's to touch."""
CONTENT_ANNOTATION = "modelway.dev/content"
FORCE_ANNOTATION = "pulumi.com/patchForce"
_PROMETHEUS = {"app.kubernetes.io/component": "prometheus"}


@dataclass(frozen=True)
class JudgeSpec:
    """Everything that decides the objects of one experiment; values may become text while deploying."""

    model: str
    namespace: str
    image: Any
    """By digest."""
    plan: Any
    """Text of `plan.json`."""
    route: Any
    """Text of `route.json`."""
    content: Any
    """Checksum of both: another one starts the judge anew, which is ready once the route has these versions."""
    prometheus_url: str
    gateway_namespace: str
    monitoring_namespace: str
    api_server_cidrs: tuple[str, ...] = (ANYWHERE,)
    pull_secret: Any = None

    @property
    def name(self) -> str:
        """Name of the Deployment, of its account and of its rights."""
        return f"{self.model}-judge"

    @property
    def experiment(self) -> str:
        """Name of the ConfigMap and of the Lease."""
        return f"{self.model}-experiment"

    @property
    def state(self) -> str:
        """Name of the ConfigMap that the judge writes."""
        return f"{self.model}-experiment-state"

    @property
    def split_route(self) -> str:
        """Name of the route whose weights the judge moves."""
        return f"{self.model}-split"

    def selector(self) -> dict[str, str]:
        """Labels of the judge's pod and of no other."""
        own = labels(self.model, COMPONENT)
        return {key: value for key, value in own.items() if key != "app.kubernetes.io/part-of"}


def judged_route(route: Manifest, model: str) -> Manifest:
    """The split route under an experiment, whose judge may then own its rules."""
    return _annotated(route, {EXPERIMENT_ANNOTATION: f"{model}-experiment"})


def own_route(route: Manifest) -> Manifest:
    """The split route without an experiment.

    The annotation lets the deployment take the rules back from a judge. It also is what differs when an experiment
    leaves the config: rules that were ignored until then may be, in the state, what they now shall be.
    """
    return _annotated(route, {FORCE_ANNOTATION: "true"})


def _annotated(route: Manifest, annotations: dict[str, str]) -> Manifest:
    metadata = route["metadata"]
    return {**route, "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), **annotations}}}


def judge_manifests(spec: JudgeSpec) -> dict[str, Manifest]:
    """All objects by role, in the order in which they are created."""
    documents = {PLAN: spec.plan, ROUTE: spec.route}
    return {
        "experiment": _object(spec, "v1", "ConfigMap", spec.experiment, data=documents),
        "experiment-state": _object(spec, "v1", "ConfigMap", spec.state),
        "lease": _object(spec, "coordination.k8s.io/v1", "Lease", spec.experiment, spec={}),
        "judge-service-account": _service_account(spec),
        "judge-role": _role(spec),
        "judge-role-binding": _role_binding(spec),
        "judge-network-policy": _network_policy(spec),
        "judge-deployment": _deployment(spec),
    }


def _object(judge: JudgeSpec, api_version: str, kind: str, name: str = "", **fields: Any) -> Manifest:
    metadata = {"name": name or judge.name, "namespace": judge.namespace, "labels": labels(judge.model, COMPONENT)}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def _service_account(spec: JudgeSpec) -> Manifest:
    account = _object(spec, "v1", "ServiceAccount", automountServiceAccountToken=False)
    return account if spec.pull_secret is None else {**account, "imagePullSecrets": [{"name": spec.pull_secret}]}


def _role(spec: JudgeSpec) -> Manifest:
    """Each object by its name; only events, which have none before they are there, may be made."""

    def rule(group: str, resource: str, name: str, *verbs: str) -> dict[str, Any]:
        return {"apiGroups": [group], "resources": [resource], "resourceNames": [name], "verbs": list(verbs)}

    rules = [
        rule("", "configmaps", spec.experiment, "get"),
        rule("", "configmaps", spec.state, "get", "update"),
        rule("coordination.k8s.io", "leases", spec.experiment, "get", "update"),
        rule("gateway.networking.k8s.io", "httproutes", spec.split_route, "get", "patch"),
        {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
    ]
    return _object(spec, "rbac.authorization.k8s.io/v1", "Role", rules=rules)


def _role_binding(spec: JudgeSpec) -> Manifest:
    return _object(
        spec,
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": spec.name},
        subjects=[{"kind": "ServiceAccount", "name": spec.name, "namespace": spec.namespace}],
    )


def _network_policy(spec: JudgeSpec) -> Manifest:
    """Out to the API server and Prometheus, in from Prometheus."""
    prometheus = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": spec.monitoring_namespace}},
        "podSelector": {"matchLabels": _PROMETHEUS},
    }
    port = [{"protocol": "TCP", "port": PORT}]
    rules = {
        "podSelector": {"matchLabels": spec.selector()},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [prometheus], "ports": port}],
        "egress": [DNS_EGRESS, api_server_egress(spec.api_server_cidrs), {"to": [prometheus], "ports": port}],
    }
    return _object(spec, "networking.k8s.io/v1", "NetworkPolicy", spec=rules)


def _deployment(spec: JudgeSpec) -> Manifest:
    """One pod, never two: the next one starts when the one before has let go of the Lease."""
    template = {
        "metadata": {
            "labels": {**labels(spec.model, COMPONENT), READER_LABEL: "true"},
            "annotations": {CONTENT_ANNOTATION: spec.content},
        },
        "spec": {
            "serviceAccountName": spec.name,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 30,
            "securityContext": pod_security(USER_ID),
            "containers": [_container(spec)],
            "volumes": _volumes(),
        },
    }
    body = {
        "replicas": 1,
        "revisionHistoryLimit": 2,
        "progressDeadlineSeconds": 300,
        "selector": {"matchLabels": spec.selector()},
        "strategy": {"type": "Recreate"},
        "template": template,
    }
    return _object(spec, "apps/v1", "Deployment", spec=body)


def _container(spec: JudgeSpec) -> dict[str, Any]:
    env = {
        "MODELWAY_NAMESPACE": spec.namespace,
        "MODELWAY_EXPERIMENT": spec.experiment,
        "MODELWAY_PROMETHEUS_URL": spec.prometheus_url,
        "MODELWAY_GATEWAY_NAMESPACE": spec.gateway_namespace,
    }
    return {
        "name": "judge",
        "image": spec.image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "metrics", "containerPort": PORT, "protocol": "TCP"}],
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "startupProbe": http_probe("/healthz", "metrics", 1, 120),
        # Ready is who has the Lease and has brought the versions of `route.json` to the route.
        "readinessProbe": http_probe("/readyz", "metrics", 2, 2),
        "livenessProbe": http_probe("/healthz", "metrics", 10, 3),
        "resources": {
            "requests": {"cpu": "50m", "memory": "128Mi"},
            "limits": {"cpu": "500m", "memory": "384Mi"},
        },
        "securityContext": container_security(USER_ID),
        "volumeMounts": [
            {"name": "tmp", "mountPath": TEMPORARY},
            {"name": "account", "mountPath": ACCOUNT_DIRECTORY, "readOnly": True},
        ],
    }


def _volumes() -> list[dict[str, Any]]:
    certificate = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
    sources = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}},
        {"configMap": certificate},
    ]
    return [
        {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}},
        {"name": "account", "projected": {"sources": sources}},
    ]
