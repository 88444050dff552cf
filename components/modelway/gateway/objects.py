"""Kubernetes objects and chart values of the gateway, as plain data."""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from modelway._common import NODE_PORT, Manifest, labels
from modelway._hardening import container_security, pod_security
from modelway.namespace import ROUTES_LABEL

CHART = "oci://docker.io/envoyproxy/gateway-helm"
CHART_VERSION = "v1.9.1"
LISTENER_PORT = 80
PROXY_PORT = 10080
"""Envoy Gateway moves privileged listener ports by 10000, so that the proxy runs without root."""
UPSTREAM_IDLE_SECONDS = 30
"""Shorter than the servers' keep-alive of 75 s: else the proxy reuses connections that the server just closed."""
DRAIN_SECONDS = 30
"""Longest that a proxy waits for its connections to end, as long as the longest request."""
GRACE_SECONDS = DRAIN_SECONDS + 15
"""Envoy Gateway's own 300 s more than the drain keep a deleted namespace waiting for minutes."""
USER_ID = 65532
CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"


@dataclass(frozen=True)
class GatewaySpec:
    """Everything that decides the gateway's objects."""

    name: str
    namespace: str
    models_namespaces: tuple[str, ...]
    monitoring_namespace: str
    node_port: int = NODE_PORT
    replicas: int = 1
    gateway_image: str | None = None
    proxy_image: str | None = None
    log_level: str = "warn"
    api_server_cidrs: tuple[str, ...] = ("0.0.0.0/0",)
    """Addresses of the API server's endpoints; anywhere but the clouds' metadata address when they are not known."""


@cache
def crd_manifests() -> tuple[Manifest, ...]:
    """CustomResourceDefinitions of Envoy Gateway and of the Gateway API's standard channel, without descriptions.

    Made by `make crds` from the chart `gateway-crds-helm` at `CHART_VERSION`, one object a line.
    """
    text = resources.files("modelway.gateway").joinpath("crds.jsonl").read_text(encoding="utf-8")
    return tuple(json.loads(line) for line in text.splitlines())


def chart_values(spec: GatewaySpec) -> dict[str, Any]:
    """Values of the chart `gateway-helm`: no CRDs, no admission webhook, restricted pods, images where given."""
    images: dict[str, Any] = {}
    if spec.gateway_image:
        images["envoyGateway"] = {"image": spec.gateway_image, "pullPolicy": "IfNotPresent"}
    values: dict[str, Any] = {
        "crds": {"enabled": False},
        # Zone-aware routing needs a webhook on every pod; one more thing that can stop a rollout.
        "topologyInjector": {"enabled": False},
        "deployment": {
            "envoyGateway": {
                "resources": {
                    "requests": {"cpu": "50m", "memory": "128Mi"},
                    "limits": {"cpu": "1", "memory": "512Mi"},
                }
            }
        },
        "certgen": {
            "job": {
                "resources": {
                    "requests": {"cpu": "10m", "memory": "64Mi"},
                    "limits": {"cpu": "500m", "memory": "256Mi"},
                }
            }
        },
        "config": {
            "envoyGateway": {
                "gateway": {"controllerName": CONTROLLER},
                "provider": {"type": "Kubernetes"},
                "logging": {"level": {"default": "info"}},
            }
        },
    }
    if images:
        values["global"] = {"images": images}
    return values


def gateway_manifests(spec: GatewaySpec) -> list[Manifest]:
    """GatewayClass, EnvoyProxy, Gateway and its traffic policy, in the order in which they are created."""
    return [_envoy_proxy(spec), _gateway_class(spec), _gateway(spec), _backend_traffic_policy(spec)]


def network_policies(spec: GatewaySpec) -> list[Manifest]:
    """What the controller, the certificate job and the proxies may reach; everything else is denied."""
    return [_controller_policy(spec), _certgen_policy(spec), _proxy_policy(spec)]


def _metadata(spec: GatewaySpec, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": spec.namespace, "labels": labels(spec.name, "gateway")}


def _envoy_proxy(spec: GatewaySpec) -> Manifest:
    container: dict[str, Any] = {
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"cpu": "2", "memory": "512Mi"},
        },
        "securityContext": container_security(USER_ID),
        # Envoy writes to /tmp only; its root file system stays read-only.
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    if spec.proxy_image:
        container["image"] = spec.proxy_image
    service = {
        "type": "NodePort",
        "externalTrafficPolicy": "Cluster",
        # EnvoyService has no field for the node port (Envoy Gateway 1.9.1), only a patch of the Service.
        "patch": {
            "type": "StrategicMerge",
            "value": {"spec": {"ports": [{"port": LISTENER_PORT, "nodePort": spec.node_port}]}},
        },
    }
    kubernetes = {
        "envoyDeployment": {
            "replicas": spec.replicas,
            "pod": {
                "securityContext": pod_security(USER_ID),
                "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
            },
            "container": container,
            "patch": {
                "type": "StrategicMerge",
                "value": {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": GRACE_SECONDS}}}},
            },
        },
        "envoyService": service,
    }
    return {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyProxy",
        "metadata": _metadata(spec, spec.name),
        "spec": {
            "provider": {"type": "Kubernetes", "kubernetes": kubernetes},
            "logging": {"level": {"default": spec.log_level}},
            "shutdown": {"drainTimeout": f"{DRAIN_SECONDS}s", "minDrainDuration": "10s"},
        },
    }


def _gateway_class(spec: GatewaySpec) -> Manifest:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": spec.name, "labels": labels(spec.name, "gateway")},
        "spec": {
            "controllerName": CONTROLLER,
            "parametersRef": {
                "group": "gateway.envoyproxy.io",
                "kind": "EnvoyProxy",
                "name": spec.name,
                "namespace": spec.namespace,
            },
        },
    }


def _gateway(spec: GatewaySpec) -> Manifest:
    selector = {"matchLabels": {ROUTES_LABEL: "true"}}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": _metadata(spec, spec.name) | {"annotations": {"pulumi.com/waitFor": "condition=Programmed"}},
        "spec": {
            "gatewayClassName": spec.name,
            "listeners": [
                {
                    "name": "http",
                    "protocol": "HTTP",
                    "port": LISTENER_PORT,
                    "allowedRoutes": {"namespaces": {"from": "Selector", "selector": selector}},
                }
            ],
        },
    }


def _backend_traffic_policy(spec: GatewaySpec) -> Manifest:
    return {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "BackendTrafficPolicy",
        "metadata": _metadata(spec, spec.name),
        "spec": {
            "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": spec.name}],
            "timeout": {"http": {"connectionIdleTimeout": f"{UPSTREAM_IDLE_SECONDS}s"}},
        },
    }


def _policy(spec: GatewaySpec, name: str, selector: dict[str, Any], **rules: Any) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(spec, name),
        "spec": {"podSelector": selector, "policyTypes": ["Ingress", "Egress"], **rules},
    }


def _tcp(*ports: int) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port} for port in ports]


def _peer(namespace: str, component: dict[str, str] | None = None) -> dict[str, Any]:
    peer: dict[str, Any] = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    if component:
        peer["podSelector"] = {"matchLabels": component}
    return peer


DNS_EGRESS: dict[str, Any] = {
    "to": [_peer("kube-system", {"k8s-app": "kube-dns"})],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}
ANYWHERE = "0.0.0.0/0"


def address_egress(cidrs: tuple[str, ...], *ports: int) -> dict[str, Any]:
    """Egress to what is no pod, so that no selector names it; the clouds' metadata address stays closed."""
    blocks = [{"cidr": cidr, **({"except": ["169.254.0.0/16"]} if cidr == ANYWHERE else {})} for cidr in cidrs]
    return {"to": [{"ipBlock": block} for block in blocks], "ports": _tcp(*ports)}


def api_server_egress(cidrs: tuple[str, ...]) -> dict[str, Any]:
    """Egress to the API server."""
    return address_egress(cidrs, 443, 6443)


CONTROLLER_LABELS = {"control-plane": "envoy-gateway"}
PROXY_LABELS = {"app.kubernetes.io/component": "proxy"}


def _controller_policy(spec: GatewaySpec) -> Manifest:
    return _policy(
        spec,
        "controller",
        {"matchLabels": CONTROLLER_LABELS},
        ingress=[
            {"from": [_peer(spec.namespace, PROXY_LABELS)], "ports": _tcp(18000, 18001, 18002)},
            {"from": [_peer(spec.monitoring_namespace)], "ports": _tcp(19001)},
        ],
        egress=[DNS_EGRESS, api_server_egress(spec.api_server_cidrs)],
    )


def _certgen_policy(spec: GatewaySpec) -> Manifest:
    return _policy(
        spec,
        "certgen",
        {"matchLabels": {"app": "certgen"}},
        ingress=[],
        egress=[DNS_EGRESS, api_server_egress(spec.api_server_cidrs)],
    )


def _proxy_policy(spec: GatewaySpec) -> Manifest:
    servers = [
        _peer(namespace, {"app.kubernetes.io/component": "model-server"}) for namespace in spec.models_namespaces
    ]
    return _policy(
        spec,
        "proxy",
        {"matchLabels": PROXY_LABELS},
        ingress=[
            {"ports": _tcp(PROXY_PORT)},
            {"from": [_peer(spec.monitoring_namespace)], "ports": _tcp(19001)},
        ],
        egress=[
            DNS_EGRESS,
            {"to": [_peer(spec.namespace, CONTROLLER_LABELS)], "ports": _tcp(18000, 18001, 18002)},
            # Each server's own policy says which of its ports, since runtimes differ.
            {"to": servers},
        ],
    )
