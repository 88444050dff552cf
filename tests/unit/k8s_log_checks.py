"""What the objects of the log collector must say, stated without the code that writes them; see `k8s_checks`."""

import copy
from typing import Any

from tests.unit.k8s_checks import COMPONENT, DIGEST, NAME, PART_OF, Objects, bare

NAMESPACE = "modelway-logs"
AUTHORIZED = {"logs-loki": True, "logs-cloudwatch": False, "logs-cloud-logging": False}
"""Whether a header is sent to the destination, by set."""
OWN = {NAME: "log-collector", COMPONENT: "log-collector", PART_OF: "modelway"}
KINDS = ["ConfigMap", "DaemonSet", "Namespace", "NetworkPolicy", "ServiceAccount"]
QUEUE_MB = {"logs-loki": 256, "logs-cloudwatch": 512, "logs-cloud-logging": 512}
# The user is none that the node knows; the group may read the kubelet's log files, which nobody else may.
USER = {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 0, "seccompProfile": {"type": "RuntimeDefault"}}
ANNOTATIONS = {"logs-cloudwatch": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/logs"}}
TCP_443 = [{"protocol": "TCP", "port": 443}]


def complete(objects: Objects) -> None:
    """Each object once, in a namespace of its own, whose pods may mount a folder of the node."""
    if objects.name not in AUTHORIZED:
        return
    authorized = AUTHORIZED[objects.name]
    assert sorted(manifest["kind"] for manifest in objects.manifests) == sorted([*KINDS, *["Secret"] * authorized])
    (namespace,), (account,), (config,) = (objects.of(kind) for kind in ("Namespace", "ServiceAccount", "ConfigMap"))
    modes = {
        f"pod-security.kubernetes.io/{mode}{suffix}": value
        for mode, level in (("enforce", "privileged"), ("audit", "restricted"))
        for suffix, value in (("", level), ("-version", "v1.34"))
    }
    assert namespace["metadata"] == {"name": NAMESPACE, "labels": {PART_OF: "modelway", **modes}}
    for manifest in objects.manifests:
        if manifest["kind"] != "Namespace":
            assert manifest["metadata"]["namespace"] == NAMESPACE
            assert manifest["metadata"]["labels"] == OWN
            assert ("annotations" in manifest["metadata"]) is (
                manifest["kind"] == "ServiceAccount" and objects.name in ANNOTATIONS
            )
    assert account["metadata"].get("annotations", {}) == ANNOTATIONS.get(objects.name, {})
    assert (account["metadata"]["name"], bare(account)) == ("log-collector", {"automountServiceAccountToken": False})
    assert set(config["data"]) == {"config.yaml"}
    if authorized:
        secret = objects.named("Secret", "log-collector")
        assert bare(secret) == {"stringData": {"authorization": "Bearer token"}}


def traffic(objects: Objects) -> None:
    """Nothing in; out to names, to the destination and to what gives the pod its identity."""
    if objects.name not in AUTHORIZED:
        return
    dns, *rest = objects.named("NetworkPolicy", "log-collector")["spec"]["egress"]
    spec = {key: value for key, value in objects.of("NetworkPolicy")[0]["spec"].items() if key != "egress"}
    assert spec == {"podSelector": {"matchLabels": OWN}, "policyTypes": ["Ingress", "Egress"], "ingress": []}
    assert {(each["port"], each["protocol"]) for each in dns["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert dns["to"] == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ]
    anywhere = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}], "ports": TCP_443}

    def place(address: str, port: int) -> dict[str, Any]:
        return {"to": [{"ipBlock": {"cidr": f"{address}/32"}}], "ports": [{"protocol": "TCP", "port": port}]}

    assert (
        rest
        == {
            "logs-loki": [
                {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}], "ports": [{"protocol": "TCP", "port": 3100}]}
            ],
            "logs-cloudwatch": [anywhere, place("169.254.170.23", 80)],
            "logs-cloud-logging": [anywhere, place("169.254.169.252", 988), place("169.254.169.254", 80)],
        }[objects.name]
    )


def pod(objects: Objects) -> None:
    """On every node one pod that is no root, reads the log files and writes its own queue only."""
    if objects.name not in AUTHORIZED:
        return
    spec = copy.deepcopy(objects.named("DaemonSet", "log-collector"))["spec"]
    template = spec.pop("template")
    assert spec == {
        "selector": {"matchLabels": OWN},
        "revisionHistoryLimit": 3,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "10%"}},
    }
    assert template["metadata"] == {"labels": OWN}
    own = template["spec"]
    (container,) = own.pop("containers")
    volumes = own.pop("volumes")
    assert own == {
        "serviceAccountName": "log-collector",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 30,
        "securityContext": {**USER, "fsGroup": 65532},
    }
    _container(container, AUTHORIZED[objects.name])
    secret = {"name": "secret", "secret": {"secretName": "log-collector", "defaultMode": 0o440}}
    assert volumes == [
        {"name": "config", "configMap": {"name": objects.of("ConfigMap")[0]["metadata"]["name"]}},
        {"name": "pods", "hostPath": {"path": "/var/log/pods", "type": "Directory"}},
        {"name": "state", "emptyDir": {"sizeLimit": f"{QUEUE_MB[objects.name] + 64}Mi"}},
        *([secret] if AUTHORIZED[objects.name] else []),
    ]


def _container(container: dict[str, Any], authorized: bool) -> None:
    assert DIGEST.fullmatch(container.pop("image"))
    probe = {"httpGet": {"path": "/", "port": "health", "scheme": "HTTP"}, "timeoutSeconds": 3}
    mounts = [
        {"name": "config", "mountPath": "/etc/otelcol/config", "readOnly": True},
        {"name": "pods", "mountPath": "/var/log/pods", "readOnly": True},
        {"name": "state", "mountPath": "/var/lib/otelcol"},
        *([{"name": "secret", "mountPath": "/etc/otelcol/secret", "readOnly": True}] if authorized else []),
    ]
    assert container == {
        "name": "collector",
        "imagePullPolicy": "IfNotPresent",
        "args": ["--config=file:/etc/otelcol/config/config.yaml"],
        "ports": [{"name": "health", "containerPort": 13133, "protocol": "TCP"}],
        "startupProbe": {**probe, "periodSeconds": 1, "failureThreshold": 60},
        "readinessProbe": {**probe, "periodSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**probe, "periodSeconds": 15, "failureThreshold": 4},
        "resources": {
            "requests": {"cpu": "50m", "memory": "128Mi"},
            "limits": {"cpu": "1", "memory": "384Mi"},
        },
        "securityContext": {
            **USER,
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }


CHECKS = (complete, traffic, pod)
