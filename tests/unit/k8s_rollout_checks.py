"""What the objects of experiments must say, stated without the code that writes them; see `k8s_checks`."""

from typing import Any

from tests.unit.k8s_checks import ACCOUNT_SOURCES, COMPONENT, DIGEST, NAME, PART_OF, Manifest, Objects, bare
from tests.unit.k8s_facts import versions

NAMESPACE = "modelway-models"
MODELS = {"rollout": ("iris", ["0.0.0.0/0"]), "rollout-known": ("wine", ["192.0.2.10/32"])}
"""Model and addresses of the API server by the set of its experiment."""
OBJECTS = {
    ("ConfigMap", "experiment"),
    ("ConfigMap", "experiment-state"),
    ("Lease", "experiment"),
    ("ServiceAccount", "judge"),
    ("Role", "judge"),
    ("RoleBinding", "judge"),
    ("NetworkPolicy", "judge"),
    ("Deployment", "judge"),
}
FORCE = {"pulumi.com/patchForce": "true"}


def own(model: str) -> dict[str, str]:
    return {NAME: model, COMPONENT: "rollout-judge"}


def complete(objects: Objects) -> None:
    """Each object once, in the models' namespace; what the judge writes is made empty."""
    if objects.name not in MODELS:
        return
    model, _ = MODELS[objects.name]
    found = [(each["kind"], each["metadata"]["name"]) for each in objects.manifests]
    assert sorted(found) == sorted((kind, f"{model}-{name}") for kind, name in OBJECTS)
    for manifest in objects.manifests:
        assert manifest["metadata"]["namespace"] == NAMESPACE
        assert manifest["metadata"]["labels"] == {**own(model), PART_OF: "modelway"}
        assert "annotations" not in manifest["metadata"]
    assert bare(objects.named("ConfigMap", f"{model}-experiment-state")) == {}
    assert bare(objects.named("Lease", f"{model}-experiment")) == {"spec": {}}


def rights(objects: Objects) -> None:
    """Each object by its name, and no more verbs than it takes."""
    if objects.name not in MODELS:
        return
    model, _ = MODELS[objects.name]
    rules = bare(objects.named("Role", f"{model}-judge"))["rules"]
    found = {}
    for rule in rules:
        assert set(rule) <= {"apiGroups", "resources", "resourceNames", "verbs"}
        (group,), (resource,) = rule["apiGroups"], rule["resources"]
        (name,) = rule.get("resourceNames", [""])
        found[group, resource, name] = rule["verbs"]
    assert len(found) == len(rules)
    assert found == {
        ("", "configmaps", f"{model}-experiment"): ["get"],
        ("", "configmaps", f"{model}-experiment-state"): ["get", "update"],
        ("coordination.k8s.io", "leases", f"{model}-experiment"): ["get", "update"],
        ("gateway.networking.k8s.io", "httproutes", f"{model}-split"): ["get", "patch"],
        ("events.k8s.io", "events", ""): ["create"],
    }
    assert bare(objects.named("RoleBinding", f"{model}-judge")) == {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": f"{model}-judge"},
        "subjects": [{"kind": "ServiceAccount", "name": f"{model}-judge", "namespace": NAMESPACE}],
    }


def traffic(objects: Objects) -> None:
    """Out to names, the API server and Prometheus; in from Prometheus alone."""
    if objects.name not in MODELS:
        return
    model, addresses = MODELS[objects.name]
    prometheus = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "modelway-monitoring"}},
        "podSelector": {"matchLabels": {COMPONENT: "prometheus"}},
    }
    port = [{"protocol": "TCP", "port": 9090}]
    spec = bare(objects.named("NetworkPolicy", f"{model}-judge"))["spec"]
    dns, server, metrics = spec.pop("egress")
    assert spec == {
        "podSelector": {"matchLabels": own(model)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [prometheus], "ports": port}],
    }
    assert metrics == {"to": [prometheus], "ports": port}
    assert {each["port"] for each in dns["ports"]} == {53}
    assert {each["protocol"] for each in dns["ports"]} == {"UDP", "TCP"}
    (resolver,) = dns["to"]
    assert resolver == {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    anywhere: dict[str, Any] = {"except": ["169.254.0.0/16"]} if addresses == ["0.0.0.0/0"] else {}
    assert server == {
        "to": [{"ipBlock": {"cidr": cidr, **anywhere}} for cidr in addresses],
        "ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 6443}],
    }


def pod(objects: Objects) -> None:
    """One restricted pod, never two, with an account of its own and nothing that it could write but `/tmp`."""
    if objects.name not in MODELS:
        return
    model, _ = MODELS[objects.name]
    deployment = objects.named("Deployment", f"{model}-judge")["spec"]
    template = deployment["template"]
    spec = template["spec"]
    (container,) = spec["containers"]
    user = {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "seccompProfile": {"type": "RuntimeDefault"}}
    assert {key: value for key, value in deployment.items() if key != "template"} == {
        "replicas": 1,
        "revisionHistoryLimit": 2,
        "progressDeadlineSeconds": 300,
        "selector": {"matchLabels": own(model)},
        "strategy": {"type": "Recreate"},
    }
    assert template["metadata"] == {
        "labels": {**own(model), PART_OF: "modelway", "modelway.dev/reads-prometheus": "true"},
        "annotations": {"modelway.dev/content": "0123456789abcdef"},
    }
    _account(objects, f"{model}-judge")
    assert {key: value for key, value in spec.items() if key != "containers"} == {
        "serviceAccountName": f"{model}-judge",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {**user, "fsGroup": 10001},
        "volumes": [
            {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}},
            {"name": "account", "projected": {"sources": ACCOUNT_SOURCES}},
        ],
    }
    restricted = {
        **user,
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    _container(container, restricted)


def _account(objects: Objects, name: str) -> None:
    secrets = {"imagePullSecrets": [{"name": "registry-pull"}]} if objects.name == "rollout-known" else {}
    assert bare(objects.named("ServiceAccount", name)) == {"automountServiceAccountToken": False, **secrets}


def _container(container: Manifest, restricted: dict[str, Any]) -> None:
    assert DIGEST.fullmatch(container["image"])
    fixed = {key: value for key, value in container.items() if key not in ("image", "env")}

    def probe(path: str, period: int, failures: int) -> dict[str, Any]:
        asked = {"path": path, "port": "metrics", "scheme": "HTTP"}
        return {"httpGet": asked, "periodSeconds": period, "timeoutSeconds": 2, "failureThreshold": failures}

    assert fixed == {
        "name": "judge",
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "metrics", "containerPort": 9090, "protocol": "TCP"}],
        "startupProbe": probe("/healthz", 1, 120),
        "readinessProbe": probe("/readyz", 2, 2),
        "livenessProbe": probe("/healthz", 10, 3),
        "resources": {
            "requests": {"cpu": "50m", "memory": "128Mi"},
            "limits": {"cpu": "500m", "memory": "384Mi"},
        },
        "securityContext": restricted,
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            {"name": "account", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True},
        ],
    }


def owners(objects: Objects) -> None:
    """Without an experiment the weights are the deployment's, which may take them back from a judge."""
    for model in {version.model for version in versions(objects.name) if objects.name != "ingress-plain"}:
        assert objects.named("HTTPRoute", f"{model}-split")["metadata"]["annotations"] == FORCE


CHECKS = (complete, rights, traffic, pod, owners)
