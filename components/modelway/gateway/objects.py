"""Kubernetes objects and chart values of the gateway, as plain data."""

import json
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any

from modelway._common import NODE_PORT, Manifest, labels
from modelway._egress import ANYWHERE, DNS_EGRESS, address_egress, api_server_egress, tcp
from modelway._hardening import container_security, pod_security, topology_spread
from modelway.gateway.access_log import access_log
from modelway.gateway.client_traffic import client_traffic_policy
from modelway.gateway.load_balancer import LoadBalancer, load_balancer_service, node_port_service
from modelway.gateway.local_reply import local_reply_policy
from modelway.gateway.policy import OWN_CLASS, Connections
from modelway.gateway.route_metrics import route_metrics_policy
from modelway.gateway.tls import HTTPS_PORT, Tls
from modelway.gateway.tls_objects import (
    HTTPS_LISTENER,
    SOLVER_LABELS,
    SOLVER_PORT,
    listeners,
    tls_objects,
    tls_settings,
)
from modelway.gateway.traffic import UPSTREAM_IDLE_SECONDS
from modelway.namespace import ROUTES_LABEL
from modelway.tracing.arguments import GatewayTraces
from modelway.tracing.objects import proxy_egress, proxy_telemetry

CHART = "oci://docker.io/envoyproxy/gateway-helm"
CHART_VERSION = "v1.9.1"
LISTENER_PORT = 80
PROXY_PORT = 10080
PROXY_TLS_PORT = 10443
"""Envoy Gateway moves privileged listener ports by 10000, so that the proxy runs without root."""
DRAIN_SECONDS = 30
"""Longest that a proxy waits for its connections to end, as long as the longest request."""
GRACE_SECONDS = DRAIN_SECONDS + 15
"""Envoy Gateway's own 300 s more than the drain keep a deleted namespace waiting for minutes."""
USER_ID = 65532
CONTROLLER = "gateway.envoyproxy.io/gatewayclass-controller"
INTERNAL = "modelway-internal"
"""Name of the Gateway inside the cluster, of its proxies' Service and of its policies."""


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
    class_name: str = OWN_CLASS
    connections: Connections = field(default_factory=Connections)
    trusted_proxies: int = 0
    client_addresses: bool = False
    """Whether the proxies see clients' own addresses: nodes without a proxy then refuse connections."""
    jwks_ports: tuple[int, ...] = ()
    """Ports anywhere that proxies may reach, to read the keys of tokens' issuers."""
    internal: bool = False
    """Whether there is a second Gateway for pods of the cluster only."""
    tls: Tls | None = None
    """None: plain HTTP."""
    load_balancer: LoadBalancer | None = None
    """None: ports of the nodes."""
    traces: GatewayTraces | None = None
    """None: no spans."""


@cache
def crd_manifests() -> tuple[Manifest, ...]:
    """CustomResourceDefinitions of Envoy Gateway and of the Gateway API's standard channel, without descriptions.

    Made by `make crds` from the chart `gateway-crds-helm` at `CHART_VERSION`, one object a line.
    """
    text = resources.files("modelway.gateway").joinpath("crds.jsonl").read_text(encoding="utf-8")
    return tuple(json.loads(line) for line in text.splitlines())


def chart_values(spec: GatewaySpec) -> dict[str, Any]:
    """Values of the chart `gateway-helm`: no CRDs, no admission webhook, restricted pods, images where given."""
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
                # Errors in the server's shape need the first, one client with two keys the second. Both are off by
                # default since who may write these objects commands the proxies: no default role of Kubernetes may.
                "extensionApis": {"enableEnvoyPatchPolicy": True, "enableLua": True},
                "logging": {"level": {"default": "info"}},
            }
        },
    }
    if spec.gateway_image:
        image = {"image": spec.gateway_image, "pullPolicy": "IfNotPresent"}
        values["global"] = {"images": {"envoyGateway": image}}
    return values


def gateway_manifests(spec: GatewaySpec) -> list[Manifest]:
    """Everything that `gateway_objects` names."""
    return list(gateway_objects(spec).values())


def gateway_objects(spec: GatewaySpec) -> dict[str, Manifest]:
    """The Gateways and what belongs to them, by role, in the order in which they are created; of another class, the
    Gateway and its certificate alone."""
    gateway = _gateway(spec)
    before, after = tls_objects(spec.name, spec.namespace, spec.tls) if spec.tls else ({}, {})
    if spec.class_name != OWN_CLASS:
        return {**before, "gateway": gateway, **after}
    return {
        **before,
        "proxy": _envoy_proxy(spec, _service(spec)),
        "class": _gateway_class(spec),
        "gateway": gateway,
        "traffic-policy": _backend_traffic_policy(spec),
        "client-policy": client_traffic_policy(_metadata(spec, spec.name), spec.connections, spec.trusted_proxies),
        **_patches(spec, gateway),
        **({"https-policy": _https_policy(spec, spec.tls)} if spec.tls else {}),
        **(_internal_objects(spec) if spec.internal else {}),
        **after,
    }


def _https_policy(spec: GatewaySpec, tls: Tls) -> Manifest:
    """The Gateway's ClientTrafficPolicy with what only HTTPS has: HSTS must not be said over plain HTTP (RFC 6797)."""
    metadata = _metadata(spec, spec.name)
    policy = client_traffic_policy(metadata, spec.connections, spec.trusted_proxies, tls_settings(tls))
    policy["metadata"] = _metadata(spec, f"{spec.name}-{HTTPS_LISTENER}")
    policy["spec"]["targetRefs"][0]["sectionName"] = HTTPS_LISTENER
    return policy


def _internal_objects(spec: GatewaySpec) -> dict[str, Manifest]:
    """The same for the Gateway inside the cluster, which shares the class."""
    inside = replace(spec, name=INTERNAL, trusted_proxies=0, tls=None)
    gateway = _gateway(inside)
    gateway["spec"]["infrastructure"] = {
        "parametersRef": {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": INTERNAL}
    }
    return {
        "internal-proxy": _envoy_proxy(inside, {"type": "ClusterIP", "name": INTERNAL}),
        "internal-gateway": gateway,
        "internal-traffic-policy": _backend_traffic_policy(inside),
        "internal-client-policy": client_traffic_policy(_metadata(inside, INTERNAL), inside.connections, 0),
        **_patches(inside, gateway, "internal-"),
    }


def network_policies(spec: GatewaySpec) -> list[Manifest]:
    """What the controller, the certificate job and the proxies may reach; everything else is denied."""
    internal = [_internal_proxy_policy(spec)] if spec.internal else []
    solver = [_solver_policy(spec)] if spec.tls and spec.tls.issuer == "acme" else []
    return [_controller_policy(spec), _certgen_policy(spec), _proxy_policy(spec), *internal, *solver]


def _metadata(spec: GatewaySpec, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": spec.namespace, "labels": labels(spec.name, "gateway")}


def _patches(spec: GatewaySpec, gateway: Manifest, prefix: str = "") -> dict[str, Manifest]:
    """What Envoy Gateway has no field for."""
    # Listeners of one port are one listener of Envoy, which has the name of the first.
    names = {listener["port"]: listener["name"] for listener in reversed(gateway["spec"]["listeners"])}
    listeners, metrics = sorted(names.values()), _metadata(spec, f"{spec.name}-route-metrics")
    return {
        f"{prefix}errors": local_reply_policy(_metadata(spec, spec.name), listeners),
        f"{prefix}route-metrics": route_metrics_policy(metrics, spec.name, listeners),
    }


def _envoy_proxy(spec: GatewaySpec, service: dict[str, Any]) -> Manifest:
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
    own_pods = {"matchLabels": {"gateway.envoyproxy.io/owning-gateway-name": spec.name}}
    patch = {
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        # Envoy Gateway gives the container beside Envoy, which waits for the drain, no limits (1.9.1).
        "containers": [{"name": "shutdown-manager", "resources": {"limits": {"cpu": "500m", "memory": "192Mi"}}}],
    }
    kubernetes: dict[str, Any] = {
        "envoyDeployment": {
            "replicas": spec.replicas,
            "pod": {
                "securityContext": pod_security(USER_ID),
                "topologySpreadConstraints": topology_spread(own_pods),
                "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
            },
            "container": container,
            "patch": {"type": "StrategicMerge", "value": {"spec": {"template": {"spec": patch}}}},
        },
        "envoyService": service,
    }
    if spec.replicas > 1:
        kubernetes["envoyPDB"] = {"maxUnavailable": 1}
    return {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyProxy",
        "metadata": _metadata(spec, spec.name),
        "spec": {
            "provider": {"type": "Kubernetes", "kubernetes": kubernetes},
            "logging": {"level": {"default": spec.log_level}},
            "shutdown": {"drainTimeout": f"{DRAIN_SECONDS}s", "minDrainDuration": "10s"},
            "telemetry": {"accessLog": access_log(), **proxy_telemetry(spec.traces)},
        },
    }


def _service(spec: GatewaySpec) -> dict[str, Any]:
    if spec.load_balancer is not None:
        return load_balancer_service(spec.load_balancer, DRAIN_SECONDS)
    ports = {LISTENER_PORT: spec.node_port, **({HTTPS_PORT: spec.tls.node_port} if spec.tls else {})}
    return node_port_service(ports, spec.client_addresses)


def _gateway_class(spec: GatewaySpec) -> Manifest:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": OWN_CLASS, "labels": labels(spec.name, "gateway")},
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
    routes = {"namespaces": {"from": "Selector", "selector": {"matchLabels": {ROUTES_LABEL: "true"}}}}
    plain = {"name": "http", "protocol": "HTTP", "port": LISTENER_PORT, "allowedRoutes": routes}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": _metadata(spec, spec.name) | {"annotations": {"pulumi.com/waitFor": "condition=Programmed"}},
        "spec": {
            "gatewayClassName": spec.class_name,
            "listeners": listeners(spec.name, spec.tls, routes) if spec.tls else [plain],
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


def _peer(namespace: str, component: dict[str, str] | None = None) -> dict[str, Any]:
    peer: dict[str, Any] = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    if component:
        peer["podSelector"] = {"matchLabels": component}
    return peer


CONTROLLER_LABELS = {"control-plane": "envoy-gateway"}
PROXY_LABELS = {"app.kubernetes.io/component": "proxy"}


def _controller_policy(spec: GatewaySpec) -> Manifest:
    return _policy(
        spec,
        "controller",
        {"matchLabels": CONTROLLER_LABELS},
        ingress=[
            {"from": [_peer(spec.namespace, PROXY_LABELS)], "ports": tcp(18000, 18001, 18002)},
            {"from": [_peer(spec.monitoring_namespace)], "ports": tcp(19001)},
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
    others = [address_egress((ANYWHERE,), *spec.jwks_ports)] if spec.jwks_ports else []
    ports = (PROXY_PORT, PROXY_TLS_PORT) if spec.tls else (PROXY_PORT,)
    if spec.tls and spec.tls.issuer == "acme":
        others.append({"to": [_peer(spec.namespace, SOLVER_LABELS)], "ports": tcp(SOLVER_PORT)})
    return _proxies(spec, spec.name, "proxy", {"ports": tcp(*ports)}, others)


def _solver_policy(spec: GatewaySpec) -> Manifest:
    """cert-manager's pods that answer ACME's challenges, asked through the proxies and by nobody else."""
    asked = [{"from": [_peer(spec.namespace, PROXY_LABELS)], "ports": tcp(SOLVER_PORT)}]
    return _policy(spec, "acme-solver", {"matchLabels": SOLVER_LABELS}, ingress=asked, egress=[])


def _internal_proxy_policy(spec: GatewaySpec) -> Manifest:
    pods = {"from": [{"namespaceSelector": {}}], "ports": tcp(PROXY_PORT)}
    return _proxies(spec, INTERNAL, "internal-proxy", pods, [])


def _proxies(
    spec: GatewaySpec, gateway: str, name: str, clients: dict[str, Any], keys: list[dict[str, Any]]
) -> Manifest:
    servers = [
        _peer(namespace, {"app.kubernetes.io/component": "model-server"}) for namespace in spec.models_namespaces
    ]
    return _policy(
        spec,
        name,
        {"matchLabels": {**PROXY_LABELS, "gateway.envoyproxy.io/owning-gateway-name": gateway}},
        ingress=[clients, {"from": [_peer(spec.monitoring_namespace)], "ports": tcp(19001)}],
        egress=[
            DNS_EGRESS,
            {"to": [_peer(spec.namespace, CONTROLLER_LABELS)], "ports": tcp(18000, 18001, 18002)},
            # Each server's own policy says which of its ports, since runtimes differ.
            {"to": servers},
            *keys,
            *proxy_egress(spec.traces),
        ],
    )
