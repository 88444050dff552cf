"""What the charts of Envoy Gateway and cert-manager must be told, beside what they are by themselves."""

from typing import Any

DIGEST = "sha256:" + "a" * 64
IMAGE = "registry.example/x"
CERT_MANAGER_SIZES = {
    "webhook": ("10m", "32Mi", "250m", "128Mi"),
    "cainjector": ("10m", "64Mi", "250m", "256Mi"),
    "startupapicheck": ("10m", "32Mi", "250m", "128Mi"),
}


def _size(cpu_request: str, memory_request: str, cpu_limit: str, memory_limit: str) -> dict[str, Any]:
    return {
        "resources": {
            "requests": {"cpu": cpu_request, "memory": memory_request},
            "limits": {"cpu": cpu_limit, "memory": memory_limit},
        }
    }


def check(name: str, values: dict[str, Any]) -> None:
    """Raises `AssertionError` where the values of this name in `k8s_objects.chart_values` differ."""
    assert values == (_gateway(name == "gateway-all") if name.startswith("gateway") else _cert_manager(name))


def _gateway(by_digest: bool) -> dict[str, Any]:
    """No CRDs (they are ours), no webhook on pods, limits, and no more of the extension API than is used."""
    image = {"image": f"{IMAGE}@{DIGEST}", "pullPolicy": "IfNotPresent"}
    return {
        "crds": {"enabled": False},
        "topologyInjector": {"enabled": False},
        "deployment": {"envoyGateway": _size("50m", "128Mi", "1", "512Mi")},
        "certgen": {"job": _size("10m", "64Mi", "500m", "256Mi")},
        "config": {
            "envoyGateway": {
                "gateway": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
                "provider": {"type": "Kubernetes"},
                "extensionApis": {"enableEnvoyPatchPolicy": True, "enableLua": True},
                "logging": {"level": {"default": "info"}},
            }
        },
        **({"global": {"images": {"envoyGateway": image}}} if by_digest else {}),
    }


def _cert_manager(name: str) -> dict[str, Any]:
    """No CRDs, no rights for who may edit anything else, leases in its own namespace, limits, images by digest."""
    acme = name == "cert-manager-acme"
    image = {"image": {"repository": IMAGE, "digest": DIGEST}} if acme else {}
    configuration = {
        "apiVersion": "controller.config.cert-manager.io/v1alpha1",
        "kind": "ControllerConfiguration",
        "gatewayAPI": {"enabled": True},
    }
    return {
        "crds": {"enabled": False},
        "global": {
            "leaderElection": {"namespace": "modelway-cert-manager"},
            "rbac": {"aggregateClusterRoles": False},
        },
        "prometheus": {"enabled": False},
        **_size("20m", "64Mi", "500m", "256Mi"),
        **image,
        **{part: {**_size(*size), **image} for part, size in CERT_MANAGER_SIZES.items()},
        **({"acmesolver": image, "config": configuration} if acme else {}),
    }
