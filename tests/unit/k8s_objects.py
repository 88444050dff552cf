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
from modelway.gateway.policy import Auth, Cors, Jwt, Limits, Policy, Sticky
from modelway.gateway.tls import Tls
from modelway.logging.objects import CollectorSpec, collector_manifests, log_namespace_manifest
from modelway.logging.pipeline import Destination, Pipeline
from modelway.monitoring import chart as prometheus_chart
from modelway.monitoring import operator as prometheus_operator
from modelway.monitoring.alertmanager import AlertmanagerSpec, alertmanager_manifests
from modelway.monitoring.config import ScrapeSpec
from modelway.monitoring.grafana import GrafanaSpec, grafana_manifests
from modelway.monitoring.objects import MonitoringSpec, config_of, monitoring_manifests, rules_of
from modelway.monitoring.receivers import Alerting, Email, Receiver, Route, Slack, Webhook
from modelway.monitoring.remote_write import RemoteWrite
from modelway.namespace import default_deny_manifest, namespace_manifest
from modelway.registry.existing import docker_config, pull_secret_manifest
from modelway.rollout.objects import JudgeSpec, judge_manifests, own_route
from modelway.scaling import objects as keda_objects
from modelway.scaling.objects import KedaSpec, keda_manifests
from modelway.serving.autoscaling import autoscaler
from modelway.serving.autoscaling_checks import Autoscaling
from modelway.serving.fetch import fetch_of
from modelway.serving.ingress import ingress_manifest
from modelway.serving.model_service import new_feedback_key, policy_manifests
from modelway.serving.objects import ServerSpec, feedback_key_manifest, server_manifests
from modelway.serving.routes import Arm, RouteSpec, route_manifests
from modelway.serving.runtimes import Options, runtime_of
from modelway.tracing.arguments import GatewayTraces, ServerTraces

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
ROUTED: Mapping[str, Mapping[str, Any]] = {
    "header": {"sticky": Sticky(header="x-user-id"), "aliases": {"champion": "v0", "next": "v1"}},
    "cookie": {"sticky": Sticky(cookie="uid")},
}
"""Models by what keeps a user on one version; the first has a shadow too."""

FETCHES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "bucket": (
        "s3://models/iris",
        {
            "size_limit_mib": 64,
            "credentials": {"secret": "store", "key": "file"},
            "endpoint": "http://store.storage.svc:9000",
            "region": "eu-central-1",
        },
    ),
    "google": (
        "gs://models/iris",
        {"identity_annotations": {"iam.gke.io/gcp-service-account": "models@project.iam.gserviceaccount.com"}},
    ),
    "amazon": ("s3://models/iris", {}),
    "web": (
        "https://models.example:8443/iris",
        {"credentials": {"secret": "store", "key": "file"}, "egress_cidrs": ["192.0.2.0/24"]},
    ),
    "address": ("http://192.0.2.9/iris", {}),
    "volume": ("file:///iris", {"volume_claim": "models"}),
}
"""Where the versions of these names fetch their model."""

TRACES = {"service": "http://collector.observability.svc:4318", "address": "http://192.0.2.11:4318"}
"""Where the versions of these names send their spans."""

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
        traces=GatewayTraces("collector.observability.svc", 1.25),
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

KEDAS: Mapping[str, KedaSpec] = {
    "keda": KedaSpec(IMAGE, IMAGE, (MODELS,)),
    "keda-known": KedaSpec(IMAGE, IMAGE, (MODELS, "more-models"), api_server_cidrs=("192.0.2.10/32",)),
}
SCALERS: Mapping[str, Autoscaling] = {
    "busy": Autoscaling(2, 5, metric="inFlight", in_flight_requests_per_pod=4),
    "slow": Autoscaling(1, 5, metric="latency", latency_seconds=0.1),
    "asleep": Autoscaling(
        0, 5, metric="queue", queued_rows_per_pod=4, idle_seconds=120, waking_routes=("iris-asleep", "iris-split")
    ),
    "adapted": Autoscaling(2, 5, metric="queue", queued_rows_per_pod=20, source="pods"),
}
"""What watches versions of these names that scale by more than CPU."""

PROMETHEUS_URL = f"http://prometheus.{MONITORING}.svc:9090"
JUDGES: Mapping[str, JudgeSpec] = {
    name: JudgeSpec(model, MODELS, IMAGE, "{}", "{}", "0123456789abcdef", PROMETHEUS_URL, GATEWAY, MONITORING, **more)
    for name, model, more in (
        ("rollout", "iris", {}),
        ("rollout-known", "wine", {"api_server_cidrs": ("192.0.2.10/32",), "pull_secret": "registry-pull"}),
    )
}
"""Judges of experiments, without and with every option."""

TELLING = Route(("hook",), 5, 60, 4)
ALERTMANAGERS: Mapping[str, AlertmanagerSpec] = {
    "alertmanager": AlertmanagerSpec(
        MONITORING,
        IMAGE,
        Alerting((Receiver("hook", Webhook("http://hook.alerts.svc:8080/", bearer_token="token")),), TELLING, TELLING),
    ),
    "alertmanager-outside": AlertmanagerSpec(
        MONITORING,
        IMAGE,
        Alerting(
            (
                Receiver("hook", Slack("https://hooks.slack.example/x")),
                Receiver("mail", Email(("a@example.com",), "b@example.com", "192.0.2.25:587")),
            ),
            TELLING,
            TELLING,
        ),
    ),
}

PROMETHEUS: Mapping[str, MonitoringSpec] = {
    "monitoring-alerting": MonitoringSpec(
        MONITORING, IMAGE, ScrapeSpec((MODELS,), GATEWAY), alertmanager=ALERTMANAGERS["alertmanager"]
    ),
    "monitoring": MonitoringSpec(MONITORING, IMAGE, ScrapeSpec((MODELS,), GATEWAY)),
    "monitoring-amazon": MonitoringSpec(
        MONITORING,
        IMAGE,
        ScrapeSpec((MODELS,), GATEWAY),
        remote_write=RemoteWrite("https://aps.example/api/v1/remote_write", aws_region="eu-west-1", cluster="models"),
    ),
    "monitoring-google": MonitoringSpec(
        MONITORING,
        IMAGE,
        ScrapeSpec((MODELS,), GATEWAY),
        remote_write=RemoteWrite("https://google.example/write", google_location="europe-west4", cluster="models"),
    ),
    "monitoring-known-nodes": MonitoringSpec(
        MONITORING,
        IMAGE,
        ScrapeSpec((MODELS, "more-models"), GATEWAY, kubelet_insecure_tls=True),
        api_server_cidrs=("192.0.2.10/32",),
        node_cidrs=("192.0.2.0/24",),
        readers_namespaces=(MODELS, "modelway-keda"),
        storage_class="fast",
    ),
}

LOGS: Mapping[str, CollectorSpec] = {
    "logs-loki": CollectorSpec(
        Pipeline(
            Destination("loki", "https://loki.example:3100", "models"),
            (MODELS, GATEWAY),
            True,
            ("ssn",),
            ("[0-9]{16}",),
            10,
            256,
        ),
        IMAGE,
        authorization="Bearer token",
        egress_cidrs=("192.0.2.0/24",),
    ),
    "logs-cloudwatch": CollectorSpec(
        Pipeline(Destination("cloudwatch", region="eu-central-1"), (MODELS, GATEWAY)),
        IMAGE,
        identity_annotations={"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/logs"},
    ),
    "logs-cloud-logging": CollectorSpec(Pipeline(Destination("cloudLogging"), (MODELS, GATEWAY)), IMAGE),
}

GRAFANAS: Mapping[str, GrafanaSpec] = {
    "grafana": GrafanaSpec(MONITORING, IMAGE, "password", "key", "0123abcd"),
    "grafana-open": GrafanaSpec(
        MONITORING,
        IMAGE,
        "password",
        "key",
        "0123abcd",
        external_url="https://grafana.example/modelway",
        clients_namespaces=("ingress-nginx",),
        runbook_base_url="https://docs.example/runbooks",
    ),
}
"""Grafana for nobody outside, and for an ingress controller."""


def sets() -> dict[str, list[Manifest]]:
    """Objects by the name of what is deployed: a namespace, a gateway, a monitoring stack or a model."""
    namespaces = {MODELS: True, GATEWAY: False, MONITORING: False, cert_manager.NAMESPACE: False}
    namespaces[keda_objects.NAMESPACE] = False
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
    for name, keda in KEDAS.items():
        found[name] = keda_manifests(keda)
    found["scalers"] = [_scaler(version, autoscaling) for version, autoscaling in SCALERS.items()]
    for name, judge in JUDGES.items():
        found[name] = list(judge_manifests(judge).values())
    found |= {name: alertmanager_manifests(alertmanager) for name, alertmanager in ALERTMANAGERS.items()}
    for name, monitoring in PROMETHEUS.items():
        found[name] = monitoring_manifests(monitoring)
    found |= _grafanas() | _collectors()
    for name in ("monitoring", "monitoring-known-nodes"):
        found[f"operator-{name}"] = _operator(PROMETHEUS[name])
    for runtime in FULL:
        found[f"runtime-{runtime}"] = model([foreign(runtime)], "iris.example")
    # vLLM has no path that others have.
    mixed = [replace(foreign(runtime), model="mixed") for runtime in FULL if runtime != "vllm"]
    found["mixed"] = model(mixed, "iris.example")
    for name, policy in POLICIES.items():
        found[f"access-{name}"] = model([ServerSpec(name, "v0", MODELS, IMAGE, GATEWAY, MONITORING)], None, policy)
    plain = ServerSpec("plain", "v0", MODELS, IMAGE, "ingress-nginx", MONITORING, gateway_pods={})
    routes = RouteSpec("plain", MODELS, "", "", [Arm("v0", "plain-v0", 100, plain.server)], "", "plain.example")
    found["ingress-plain"] = [*server_manifests(plain), ingress_manifest(routes, "nginx")]
    for key, routed in ROUTED.items():
        arms = [ServerSpec(key, "v0", MODELS, IMAGE, GATEWAY, MONITORING)]
        if key == "header":
            arms += [replace(arms[0], version="v1"), replace(arms[0], version="v2", shadow=True)]
        found[f"routes-{key}"] = model(arms, **routed)
    found["fetched"] = model([_fetching(name, {"source": source, **more}) for name, (source, more) in FETCHES.items()])
    found["traced"] = model([_tracing(name, url) for name, url in TRACES.items()])
    for count in (1, 2, 8):
        found[f"versions-{count}"] = model([_version(f"iris-{count}", number) for number in range(count)])
    return found


def _collectors() -> dict[str, list[Manifest]]:
    return {name: [log_namespace_manifest(logs.namespace), *collector_manifests(logs)] for name, logs in LOGS.items()}


def _grafanas() -> dict[str, list[Manifest]]:
    return {name: grafana_manifests(grafana) for name, grafana in GRAFANAS.items()}


def _operator(spec: MonitoringSpec) -> list[Manifest]:
    """What the ground kubePrometheusStack has beside objects of the plain one."""
    manifests = prometheus_operator.operator_manifests(spec.namespace, config_of(spec), rules_of(spec))
    return [prometheus_chart.operator_network_policy(spec), *manifests]


def model(
    versions: list[ServerSpec], host: str | None = None, policy: Policy | None = None, **more: Any
) -> list[Manifest]:
    """All objects of a model with these versions; the first has all the weight. `more` is of the routes."""
    name = versions[0].model
    arms = [
        Arm(spec.version, spec.name, 100 if spec is versions[0] else 0, spec.server, spec.shadow) for spec in versions
    ]
    policy = policy or Policy()
    gateway = "modelway-internal" if policy.access == "internal" else "modelway"
    routes = RouteSpec(name, MODELS, gateway, GATEWAY, arms, f"/{name}", host, policy, **more)
    feedback = any(spec.server.feedback_key_secret for spec in versions)
    return [
        *([feedback_key_manifest(name, MODELS, new_feedback_key())] if feedback else []),
        *(manifest for spec in versions for manifest in server_manifests(spec)),
        *policy_manifests(routes).values(),
        *(own_route(each) if each["metadata"]["name"] == f"{name}-split" else each for each in route_manifests(routes)),
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


def _fetching(name: str, fetch: Mapping[str, Any]) -> ServerSpec:
    """A version that is named after where it fetches its model."""
    own = {**fetch, "sha256": "5e" * 32}
    runtime = runtime_of("fetched", name, Options(fetch=own))
    return ServerSpec("fetched", name, MODELS, IMAGE, GATEWAY, MONITORING, runtime=runtime, fetch=fetch_of(own))


def _tracing(name: str, url: str) -> ServerSpec:
    """A version that is named after how it reaches the collector of spans."""
    runtime = runtime_of("traced", name, Options(traces={"url": url}))
    return ServerSpec("traced", name, MODELS, IMAGE, GATEWAY, MONITORING, runtime=runtime, traces=ServerTraces(url))


def _scaler(version: str, autoscaling: Autoscaling) -> Manifest:
    metadata = ServerSpec("iris", version, MODELS, IMAGE, GATEWAY, MONITORING).metadata()
    return autoscaler(metadata, "iris", version, autoscaling)


def crds() -> list[Manifest]:
    """The definitions of the custom kinds among them."""
    every = [*crd_manifests(), *cert_manager.crd_manifests(), *keda_objects.crd_manifests()]
    every += prometheus_operator.crd_manifests()
    return [manifest for manifest in every if manifest["kind"] == "CustomResourceDefinition"]


def chart_values() -> dict[str, Any]:
    """Values of the charts that the gateways and cert-managers of these names install."""
    return {
        **{name: gateway_objects.chart_values(GATEWAYS[name]) for name in ("gateway", "gateway-all")},
        **{name: cert_manager.chart_values(spec) for name, spec in CERT_MANAGERS.items()},
    }
