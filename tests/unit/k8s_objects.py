"""Every Kubernetes object that the components can write, in the sets in which they are deployed together."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelway._common import Manifest
from modelway.gateway import cert_manager
from modelway.gateway import objects as gateway_objects
from modelway.gateway.api_keys import api_keys_manifest
from modelway.gateway.cert_manager import CertManagerSpec
from modelway.gateway.objects import GatewaySpec, crd_manifests, gateway_manifests, network_policies
from modelway.gateway.policy import Auth, Cors, Jwt, Limits, Policy
from modelway.gateway.tls import Tls
from modelway.monitoring.config import ScrapeSpec
from modelway.monitoring.objects import MonitoringSpec, monitoring_manifests
from modelway.namespace import default_deny_manifest, namespace_manifest
from modelway.registry.existing import docker_config, pull_secret_manifest
from modelway.serving.model_service import new_feedback_key, policy_manifests
from modelway.serving.objects import Autoscaling, ServerSpec, feedback_key_manifest, server_manifests
from modelway.serving.routes import Arm, RouteSpec, route_manifests
from modelway.serving.runtimes import Options, runtime_of

from tests.unit.runtime_samples import FULL, IMAGE, foreign

MODELS, GATEWAY, MONITORING = "modelway-models", "modelway-gateway", "modelway-monitoring"
CERT_MANAGER_IMAGES = ("controller", "webhook", "cainjector", "startupapicheck", "acmesolver")
JWT = Jwt("https://issuer.example", ("models",), jwks_url="https://issuer.example/keys")
POLICIES: Mapping[str, Policy] = {
    "keyed": Policy(
        "keyed",
        Limits(100, 10, 65536, 20),
        Auth(),
        Cors(("https://shop.example",)),
        source_ranges=("203.0.113.0/24",),
        proxies=2,
    ),
    "jwt": Policy("keyed", Limits(requests_per_second_per_client=10), Auth("jwt", jwt=JWT)),
    "limited": Policy("public", Limits(requests_per_second=50, requests_per_second_per_client=5)),
    "internal": Policy("internal", Limits(body_bytes=65536)),
}
"""Models by who may ask them, and how much."""

_HOSTS = ("models.example", "192.0.2.7")
_PLAIN = GatewaySpec("modelway", GATEWAY, (MODELS,), MONITORING)
GATEWAYS: Mapping[str, GatewaySpec] = {
    "gateway": _PLAIN,
    "gateway-all": replace(
        _PLAIN,
        models_namespaces=(MODELS, "more-models"),
        replicas=2,
        gateway_image=IMAGE,
        proxy_image=IMAGE,
        api_server_cidrs=("192.0.2.10/32",),
        tls=Tls(_HOSTS),
        internal=True,
        trusted_proxies=1,
        client_addresses=True,
        jwks_ports=(443,),
    ),
    "gateway-acme": replace(_PLAIN, tls=Tls(_HOSTS[:1], "acme", acme={"email": "ops@models.example"})),
    "gateway-secret": replace(_PLAIN, tls=Tls(_HOSTS, "secret", "bought", minimum_version="1.3", hsts_seconds=0)),
    "gateway-foreign": replace(_PLAIN, class_name="other", tls=Tls(_HOSTS, "secret", "bought")),
}
"""The gateway without and with every option."""

CERT_MANAGERS: Mapping[str, CertManagerSpec] = {
    "cert-manager": CertManagerSpec(),
    "cert-manager-acme": CertManagerSpec(
        acme=True, api_server_cidrs=("192.0.2.10/32",), images=dict.fromkeys(CERT_MANAGER_IMAGES, IMAGE)
    ),
}

PROMETHEUS: Mapping[str, MonitoringSpec] = {
    "monitoring": MonitoringSpec(MONITORING, IMAGE, ScrapeSpec((MODELS,), GATEWAY)),
    "monitoring-known-nodes": MonitoringSpec(
        MONITORING,
        IMAGE,
        ScrapeSpec((MODELS, "more-models"), GATEWAY, kubelet_insecure_tls=True),
        api_server_cidrs=("192.0.2.10/32",),
        node_cidrs=("192.0.2.0/24",),
    ),
}


def sets() -> dict[str, list[Manifest]]:
    """Objects by the name of what is deployed: a namespace, a gateway, a monitoring stack or a model."""
    namespaces = {MODELS: True, GATEWAY: False, MONITORING: False, cert_manager.NAMESPACE: False}
    found: dict[str, list[Manifest]] = {
        "namespaces": [
            manifest
            for name, routes in namespaces.items()
            for manifest in (namespace_manifest(name, routes), default_deny_manifest(name))
        ],
        "secrets": [
            pull_secret_manifest("registry-pull", MODELS, docker_config("docker.io", "user", "password")),
            api_keys_manifest(MODELS),
        ],
    }
    for name, gateway in GATEWAYS.items():
        found[name] = [*gateway_manifests(gateway), *network_policies(gateway)]
    for name, manager in CERT_MANAGERS.items():
        found[name] = cert_manager.network_policies(manager)
    for name, monitoring in PROMETHEUS.items():
        found[name] = monitoring_manifests(monitoring)
    for runtime in FULL:
        found[f"runtime-{runtime}"] = model([foreign(runtime)], "iris.example")
    # vLLM has no path that others have.
    mixed = [replace(foreign(runtime), model="mixed") for runtime in FULL if runtime != "vllm"]
    found["mixed"] = model(mixed, "iris.example")
    for name, policy in POLICIES.items():
        found[f"access-{name}"] = model([ServerSpec(name, "v0", MODELS, IMAGE, GATEWAY, MONITORING)], None, policy)
    for count in (1, 2, 8):
        found[f"versions-{count}"] = model([_version(f"iris-{count}", number) for number in range(count)])
    return found


def model(versions: list[ServerSpec], host: str | None = None, policy: Policy | None = None) -> list[Manifest]:
    """All objects of a model with these versions; the first has all the weight."""
    name = versions[0].model
    arms = [Arm(spec.version, spec.name, 100 if spec is versions[0] else 0, spec.server) for spec in versions]
    policy = policy or Policy()
    gateway = "modelway-internal" if policy.access == "internal" else "modelway"
    routes = RouteSpec(name, MODELS, gateway, GATEWAY, arms, f"/{name}", host, policy)
    feedback = any(spec.server.feedback_key_secret for spec in versions)
    return [
        *([feedback_key_manifest(name, MODELS, new_feedback_key())] if feedback else []),
        *(manifest for spec in versions for manifest in server_manifests(spec)),
        *policy_manifests(routes).values(),
        *route_manifests(routes),
    ]


def _version(model_name: str, number: int) -> ServerSpec:
    """Plain versions, every other one with an autoscaler, a pull secret and feedback; the first has one pod."""
    own: dict[str, Any] = {}
    if number % 2:
        runtime = runtime_of(model_name, f"v{number}", Options(feedback=True, docs=True))
        own = {"autoscaling": Autoscaling(2, 5), "pull_secret": "registry-pull"}
        own["runtime"] = replace(runtime, feedback_key_secret=f"{model_name}-feedback-key")
    elif number == 0:
        own = {"replicas": 3}
    return ServerSpec(model_name, f"v{number}", MODELS, IMAGE, GATEWAY, MONITORING, **own)


def crds() -> list[Manifest]:
    """The definitions of the custom kinds among them."""
    both = (*crd_manifests(), *cert_manager.crd_manifests())
    return [manifest for manifest in both if manifest["kind"] == "CustomResourceDefinition"]


def chart_values() -> dict[str, Any]:
    """Values of the charts that the gateways and cert-managers of these names install."""
    return {
        **{name: gateway_objects.chart_values(GATEWAYS[name]) for name in ("gateway", "gateway-all")},
        **{name: cert_manager.chart_values(spec) for name, spec in CERT_MANAGERS.items()},
    }
