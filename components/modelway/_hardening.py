"""What every pod of Modelway has in common, so that the `restricted` Pod Security Standard admits it.

Source: https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
"""

from typing import Any


def pod_security(user_id: int) -> dict[str, Any]:
    """Security context of a pod that runs as this user and owns its volumes."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user_id,
        "runAsGroup": user_id,
        "fsGroup": user_id,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security(user_id: int) -> dict[str, Any]:
    """Security context of a container: no privileges, no capabilities, a root file system that it cannot write."""
    return {
        "allowPrivilegeEscalation": False,
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "runAsUser": user_id,
        "runAsGroup": user_id,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def topology_spread(pods: dict[str, Any]) -> list[dict[str, Any]]:
    """Constraints that spread the pods of this selector over zones and nodes, where there are several."""
    return [
        {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": pods}
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


def http_probe(path: str, port: str, period_seconds: int, failures: int, timeout_seconds: int = 2) -> dict[str, Any]:
    """Probe that asks `path` every `period_seconds` and gives up after `failures` in a row."""
    return {
        "httpGet": {"path": path, "port": port, "scheme": "HTTP"},
        "periodSeconds": period_seconds,
        "timeoutSeconds": timeout_seconds,
        "failureThreshold": failures,
    }
