"""What the objects of Grafana must say, stated without the code that writes them; see `k8s_checks`."""

import copy
from typing import Any

from tests.unit.k8s_checks import COMPONENT, DIGEST, NAME, PART_OF, Objects, bare

NAMESPACE = "modelway-monitoring"
CLIENTS: dict[str, list[str]] = {"grafana": [], "grafana-open": ["ingress-nginx"]}
"""Namespaces that may open it, by set."""
OWN = {NAME: "grafana", COMPONENT: "grafana", PART_OF: "modelway"}
KINDS = ["ConfigMap", "Deployment", "NetworkPolicy", "Secret", "Service", "ServiceAccount"]
FILES = {"datasources.yaml", "dashboards.yaml"}
PAGES = {f"{name}.json" for name in ("fleet", "model", "experiment", "gateway", "cost")}
USER = {"runAsNonRoot": True, "runAsUser": 10472, "runAsGroup": 10472, "seccompProfile": {"type": "RuntimeDefault"}}


def complete(objects: Objects) -> None:
    """Each object once, in the namespace of monitoring."""
    if objects.name not in CLIENTS:
        return
    assert sorted(manifest["kind"] for manifest in objects.manifests) == KINDS
    for manifest in objects.manifests:
        assert manifest["metadata"]["namespace"] == NAMESPACE
        assert manifest["metadata"]["labels"] == OWN
        assert "annotations" not in manifest["metadata"]
    (config,), (account,) = objects.of("ConfigMap"), objects.of("ServiceAccount")
    assert set(config["data"]) == FILES | PAGES
    assert account["metadata"]["name"] == "grafana"
    assert bare(account) == {"automountServiceAccountToken": False}
    secret = objects.named("Secret", "grafana-admin")
    assert set(secret["stringData"]) == {"admin-password", "session-key"}
    assert all(secret["stringData"].values())


def traffic(objects: Objects) -> None:
    """In from the namespaces that are named; out to names and to Prometheus."""
    if objects.name not in CLIENTS:
        return
    port = [{"protocol": "TCP", "port": 3000}]
    spec = copy.deepcopy(objects.named("NetworkPolicy", "grafana"))["spec"]
    dns, asked = spec.pop("egress")
    sources = [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}, "podSelector": {}}
        for name in CLIENTS[objects.name]
    ]
    assert spec == {
        "podSelector": {"matchLabels": OWN},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": sources, "ports": port}] if sources else [],
    }
    prometheus = {"podSelector": {"matchLabels": {NAME: "prometheus", COMPONENT: "prometheus"}}}
    assert asked == {"to": [prometheus], "ports": [{"protocol": "TCP", "port": 9090}]}
    assert {(each["port"], each["protocol"]) for each in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert dns["to"] == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ]
    service = bare(objects.named("Service", "grafana"))["spec"]
    ports = [{"name": "http", "port": 3000, "targetPort": "http", "protocol": "TCP"}]
    assert service == {"type": "ClusterIP", "selector": OWN, "ports": ports}


def pod(objects: Objects) -> None:
    """One restricted pod without rights, that writes its database and `/tmp`, and reads its secrets from files."""
    if objects.name not in CLIENTS:
        return
    deployment = copy.deepcopy(objects.named("Deployment", "grafana"))["spec"]
    template = deployment.pop("template")
    assert deployment == {
        "replicas": 1,
        "selector": {"matchLabels": OWN},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
    }
    assert template["metadata"]["labels"] == {**OWN, "modelway.dev/reads-prometheus": "true"}
    assert set(template["metadata"]["annotations"]) == {"modelway.dev/password-mark"}
    spec = template["spec"]
    (container,) = spec.pop("containers")
    volumes = {volume.pop("name"): volume for volume in spec.pop("volumes")}
    assert spec == {
        "serviceAccountName": "grafana",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {**USER, "fsGroup": 10472},
    }
    _container(container)
    _volumes(volumes, objects.of("ConfigMap")[0]["metadata"]["name"])


def _container(container: dict[str, Any]) -> None:
    assert DIGEST.fullmatch(container.pop("image"))
    container.pop("env")
    probe = {"httpGet": {"path": "/api/health", "port": "http", "scheme": "HTTP"}, "timeoutSeconds": 3}
    mounts = {
        "/etc/grafana/provisioning": ("provisioning", True),
        "/var/lib/modelway/dashboards": ("dashboards", True),
        "/etc/grafana/secrets": ("secrets", True),
        "/var/lib/grafana": ("data", False),
        "/tmp": ("tmp", False),  # noqa: S108
    }
    found = {each["mountPath"]: (each["name"], each.get("readOnly", False)) for each in container["volumeMounts"]}
    assert all(set(each) <= {"name", "mountPath", "readOnly"} for each in container.pop("volumeMounts"))
    assert found == mounts
    assert container == {
        "name": "grafana",
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "http", "containerPort": 3000, "protocol": "TCP"}],
        "startupProbe": {**probe, "periodSeconds": 2, "failureThreshold": 90},
        "readinessProbe": {**probe, "periodSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**probe, "periodSeconds": 15, "failureThreshold": 4},
        "resources": {
            "requests": {"cpu": "50m", "memory": "192Mi"},
            "limits": {"cpu": "500m", "memory": "512Mi"},
        },
        "securityContext": {
            **USER,
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def _volumes(volumes: dict[str, Any], config_map: str) -> None:
    provisioned, pages = (volumes.pop(name)["configMap"] for name in ("provisioning", "dashboards"))
    assert provisioned.pop("name") == pages.pop("name") == config_map
    assert provisioned == {
        "items": [
            {"key": "datasources.yaml", "path": "datasources/modelway.yaml"},
            {"key": "dashboards.yaml", "path": "dashboards/modelway.yaml"},
        ]
    }
    assert {item["key"] for item in pages["items"]} == PAGES
    assert all(item["path"] == item["key"] for item in pages.pop("items"))
    assert pages == {}
    assert volumes == {
        "secrets": {"secret": {"secretName": "grafana-admin", "defaultMode": 0o440}},
        "data": {"emptyDir": {"sizeLimit": "256Mi"}},
        "tmp": {"emptyDir": {"sizeLimit": "64Mi"}},
    }


CHECKS = (complete, traffic, pod)
