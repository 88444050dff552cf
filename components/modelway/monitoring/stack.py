"""One plain Prometheus for small and offline clusters."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi

from modelway._common import as_int, register_all, require_dns_label, type_token
from modelway.gateway.objects import ANYWHERE
from modelway.monitoring.config import ScrapeSpec
from modelway.monitoring.objects import NAME, PORT, MonitoringSpec, monitoring_manifests
from modelway.monitoring.slo import SloArgs, slo_misfits, slo_of
from modelway.namespace import RestrictedNamespace
from modelway.serving.model_server import refuse


class MonitoringStackArgs(TypedDict):
    """Inputs of `MonitoringStack`."""

    image: pulumi.Input[str]
    """Image of Prometheus 3."""
    models_namespaces: list[str]
    """Namespaces of the model servers; they must exist."""
    gateway_namespace: NotRequired[str]
    """Namespace of the gateway's proxies; it must exist. Defaults to `modelway-gateway`."""
    namespace: NotRequired[str]
    """Namespace of Prometheus; created. Defaults to `modelway-monitoring`."""
    retention_hours: NotRequired[int]
    """How long samples are kept. Defaults to 24."""
    storage_mb: NotRequired[int]
    """Disk for samples, which end with the pod. Defaults to 2048."""
    api_server_cidrs: NotRequired[list[str]]
    """Addresses of the API server's endpoints. Defaults to anywhere but the clouds' metadata address."""
    node_cidrs: NotRequired[list[str]]
    """Addresses of the nodes, whose kubelets are scraped. Defaults to anywhere but the clouds' metadata address."""
    slos: NotRequired[list[SloArgs]]
    """Objectives, at most one per version: recording rules of their error budgets, and alerts that page or make a
    ticket by how fast a budget is used up. Defaults to none."""
    readers_namespaces: NotRequired[list[str]]
    """Namespaces whose pods with the label `modelway.dev/reads-prometheus: "true"` may ask Prometheus. Defaults to
    none."""
    kubelet_insecure_tls: NotRequired[bool]
    """Accept kubelets whose certificate the cluster's own authority did not sign, as kind's. Defaults to false."""


class MonitoringStack(pulumi.ComponentResource):
    """Prometheus with recording rules for latency, errors, CPU and memory per model and version."""

    prometheus_url: pulumi.Output[str]
    """URL of Prometheus inside the cluster, known once it is ready."""
    namespace: pulumi.Output[str]
    """Namespace of Prometheus."""

    def __init__(self, name: str, args: MonitoringStackArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("MonitoringStack"), name, {}, opts)
        spec = monitoring_spec(name, args)
        namespace = RestrictedNamespace(
            f"{name}-namespace", {"name": spec.namespace}, pulumi.ResourceOptions(parent=self)
        )
        inside = pulumi.ResourceOptions(parent=self, depends_on=[namespace])
        *before, service, deployment = monitoring_manifests(spec)
        created = register_all(before, name, inside)
        after = pulumi.ResourceOptions(parent=self, depends_on=created)
        # Side by side: the provider holds a Service until a pod stands behind it.
        _, prometheus = register_all([service, deployment], name, after)
        self.namespace = pulumi.Output.from_input(spec.namespace)
        self.prometheus_url = prometheus.urn.apply(lambda _: f"http://{NAME}.{spec.namespace}.svc:{PORT}")
        self.register_outputs({"prometheusUrl": self.prometheus_url, "namespace": self.namespace})


def monitoring_spec(name: str, args: MonitoringStackArgs) -> MonitoringSpec:
    """Validate the inputs; raises `ValueError` with one sentence."""
    where = f'MonitoringStack("{name}")'
    retention = as_int(args.get("retention_hours"), 24)
    storage = as_int(args.get("storage_mb"), 2048)
    for key, value, low in (("retention_hours", retention, 1), ("storage_mb", storage, 256)):
        if value < low:
            raise ValueError(f"{where}.{key}: out of range: got {value}, allowed {low} or more; raise it.")
    namespace = args.get("namespace", "modelway-monitoring")
    readers = args.get("readers_namespaces", [])
    for label in (namespace, *args["models_namespaces"], *readers):
        require_dns_label(f"{where} namespace", label)
    slos = args.get("slos", [])
    refuse_slos(where, slos)
    return MonitoringSpec(
        namespace=namespace,
        image=args["image"],
        scrape=ScrapeSpec(
            models_namespaces=tuple(args["models_namespaces"]),
            gateway_namespace=args.get("gateway_namespace", "modelway-gateway"),
            kubelet_insecure_tls=args.get("kubelet_insecure_tls", False),
        ),
        api_server_cidrs=tuple(args.get("api_server_cidrs", [ANYWHERE])),
        node_cidrs=tuple(args.get("node_cidrs", [ANYWHERE])),
        slos=tuple(slo_of(slo) for slo in slos),
        readers_namespaces=tuple(readers),
        retention_hours=retention,
        storage_mb=storage,
    )


def refuse_slos(where: str, slos: Sequence[SloArgs]) -> None:
    """Raise `ValueError` with one sentence about objectives that cannot be."""
    names = [(slo["model"], slo["version"]) for slo in slos]
    for model, version in names:
        if names.count((model, version)) > 1:
            raise ValueError(
                f"{where}.slos: two objectives of one version: got {model} {version} twice, allowed one each; "
                "remove one."
            )
    for slo in slos:
        refuse(f"{where}.slos {slo['model']} {slo['version']}", list(slo_misfits(slo)))
