"""What KEDA may do, as plain data: in the models' namespaces what scaling needs, elsewhere its certificate.

KEDA's own chart lets it read every object and every Secret of the cluster, because its triggers could name any. Ours
ask Prometheus alone, so it reads neither Secrets nor anything else of the models (verbs as of KEDA 2.21).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from modelway._common import Manifest, labels

OPERATOR, ADAPTER = "keda-operator", "keda-metrics-apiserver"
GROUP = "rbac.authorization.k8s.io"
API_SERVICE = "v1beta1.external.metrics.k8s.io"
CERTIFICATES = "kedaorg-certs"
"""Secret that the operator makes and renews, with its own authority."""
LEASE = "operator.keda.sh"
_READ = ["get", "list", "watch"]
_WRITE = ["get", "list", "patch", "update", "watch"]
METRICS = ("s0-prometheus", "s1-prometheus")
"""KEDA's names of the first and the second trigger's figures: what decides, and what wakes."""


def access_manifests(namespace: str, models_namespaces: Sequence[str]) -> list[Manifest]:
    """Roles and bindings, in the order in which they are created."""
    manifests = [
        *_bound("Role", OPERATOR, namespace, _own_rules(), [_account(OPERATOR, namespace)]),
        *_bound("ClusterRole", f"modelway-{OPERATOR}", None, _cluster_rules(), [_account(OPERATOR, namespace)]),
        # An API server asks on: who calls, and may they.
        _binding("ClusterRole", f"modelway-{ADAPTER}", None, "system:auth-delegator", [_account(ADAPTER, namespace)]),
        _binding(
            "Role",
            f"modelway-{ADAPTER}",
            "kube-system",
            "extension-apiserver-authentication-reader",
            [_account(ADAPTER, namespace)],
        ),
    ]
    for models in models_namespaces:
        manifests += _bound("Role", OPERATOR, models, _model_rules(), [_account(OPERATOR, namespace)])
        manifests += _bound("Role", ADAPTER, models, [_rule("keda.sh", ["scaledobjects"], _READ)],
                            [_account(ADAPTER, namespace)])  # fmt: skip
        figures = [_rule("external.metrics.k8s.io", list(METRICS), ["get", "list"])]
        asker = [_account("horizontal-pod-autoscaler", "kube-system")]
        manifests += _bound("Role", f"{ADAPTER}-reader", models, figures, asker)
    return manifests


def _rule(group: str, resources: list[str], verbs: list[str], names: list[str] | None = None) -> dict[str, Any]:
    rule: dict[str, Any] = {"apiGroups": [group], "resources": resources, "verbs": list(verbs)}
    return rule | ({"resourceNames": names} if names else {})


def _own_rules() -> list[dict[str, Any]]:
    return [
        # Who creates cannot be told the name, who lists sees no more than it made: nothing else is kept there.
        _rule("", ["secrets"], ["create", "list", "watch"]),
        _rule("", ["secrets"], ["delete", "get", "patch", "update"], [CERTIFICATES]),
        _rule("coordination.k8s.io", ["leases"], ["create"]),
        _rule("coordination.k8s.io", ["leases"], ["get", "patch", "update"], [LEASE]),
        _rule("", ["events"], ["create", "patch"]),
        _rule("events.k8s.io", ["events"], ["create", "patch"]),
    ]


def _cluster_rules() -> list[dict[str, Any]]:
    return [
        _rule("apiregistration.k8s.io", ["apiservices"], ["list", "watch"]),
        _rule("apiregistration.k8s.io", ["apiservices"], ["get", "patch", "update"], [API_SERVICE]),
        _rule("keda.sh", ["clustertriggerauthentications"], _READ),
        _rule("eventing.keda.sh", ["clustercloudeventsources"], _READ),
    ]


def _model_rules() -> list[dict[str, Any]]:
    triggers = ["scaledobjects", "scaledobjects/finalizers", "scaledobjects/status"]
    return [
        _rule("keda.sh", triggers, _WRITE),
        _rule("keda.sh", ["scaledjobs", "triggerauthentications"], _READ),
        _rule("eventing.keda.sh", ["cloudeventsources"], _READ),
        _rule("autoscaling", ["horizontalpodautoscalers"], ["create", "delete", *_WRITE]),
        _rule("apps", ["deployments"], _READ),
        _rule("apps", ["deployments/scale"], ["get", "patch", "update"]),
        _rule("", ["pods"], _READ),
        _rule("batch", ["jobs"], _READ),
        _rule("", ["events"], ["create", "patch"]),
        _rule("events.k8s.io", ["events"], ["create", "patch"]),
    ]


def _account(name: str, namespace: str) -> dict[str, Any]:
    return {"kind": "ServiceAccount", "name": name, "namespace": namespace}


def _metadata(name: str, namespace: str | None) -> dict[str, Any]:
    where = {} if namespace is None else {"namespace": namespace}
    return {"name": name, **where, "labels": labels("keda", "access")}


def _bound(
    kind: str, name: str, namespace: str | None, rules: list[dict[str, Any]], subjects: Sequence[Mapping[str, Any]]
) -> list[Manifest]:
    """A role and its binding of the same name."""
    role = {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": _metadata(name, namespace), "rules": rules}
    return [role, _binding(kind, name, namespace, name, subjects)]


def _binding(kind: str, name: str, namespace: str | None, role: str, subjects: Sequence[Mapping[str, Any]]) -> Manifest:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": f"{kind}Binding",
        "metadata": _metadata(name, namespace),
        "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role},
        "subjects": [dict(subject) for subject in subjects],
    }
