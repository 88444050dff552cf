"""Prometheus with the rules of models, on one of two grounds: plain, or as kube-prometheus-stack runs it."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi

from modelway._common import Manifest, as_int, register_all, require_dns_label, type_token
from modelway._egress import ANYWHERE
from modelway.monitoring.alert_rules import AlertRuleArgs, alert_rule_of
from modelway.monitoring.alertmanager import AlertmanagerSpec, alertmanager_manifests
from modelway.monitoring.chart_ground import GROUND, KubePrometheusStackArgs, ground_misfits, register_chart
from modelway.monitoring.config import ScrapeSpec
from modelway.monitoring.delivery import ExternalUrlsArgs, alertmanager_of, delivery_misfits
from modelway.monitoring.grafana import GrafanaSpec, grafana_manifests
from modelway.monitoring.grafana_args import GrafanaArgs, grafana_misfits, grafana_of
from modelway.monitoring.objects import NAME, PORT, MonitoringSpec, monitoring_manifests
from modelway.monitoring.quality_args import QualityArgs, quality_misfits, quality_of
from modelway.monitoring.receivers_args import AlertRoutesArgs, ReceiverArgs
from modelway.monitoring.remote_write import RemoteWriteArgs, remote_write_misfits, remote_write_of
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
    """How long samples are kept. Defaults to 360, 15 days: the longest window of an alert is 3 days."""
    storage_mb: NotRequired[int]
    """Disk for samples. Defaults to 2048."""
    storage_class: NotRequired[str]
    """Class of the volume of samples, which goes with the stack. Defaults to no volume on the ground `plain`, where
    samples then end with the pod, and to the cluster's default class on `kubePrometheusStack`."""
    api_server_cidrs: NotRequired[list[str]]
    """Addresses of the API server's endpoints. Defaults to anywhere but the clouds' metadata address."""
    node_cidrs: NotRequired[list[str]]
    """Addresses of the nodes, whose kubelets are scraped. Defaults to anywhere but the clouds' metadata address."""
    slos: NotRequired[list[SloArgs]]
    """Objectives, at most one per version: recording rules of their error budgets, and alerts that page or make a
    ticket by how fast a budget is used up. Defaults to none."""
    quality: NotRequired[list[QualityArgs]]
    """Promises about predictions, at most one per version: alerts on drift, missing values, quality by feedback and
    truths that stop coming. Defaults to none."""
    readers_namespaces: NotRequired[list[str]]
    """Namespaces whose pods with the label `modelway.dev/reads-prometheus: "true"` may ask Prometheus. Defaults to
    none."""
    receivers: NotRequired[list[ReceiverArgs]]
    """Who is told of alerts; brings an Alertmanager. Defaults to none."""
    routes: NotRequired[AlertRoutesArgs]
    """Which receivers are told of which severity, and when. Defaults to all of everything."""
    receivers_cidrs: NotRequired[list[str]]
    """Networks of the receivers. Defaults to what their addresses say, which for a name outside the cluster is anywhere
    but the clouds' metadata address."""
    alerts: NotRequired[list[AlertRuleArgs]]
    """Alerts of your own. Defaults to none."""
    external_urls: NotRequired[ExternalUrlsArgs]
    """Where people open Prometheus and Alertmanager. Defaults to their addresses in the cluster."""
    runbook_base_url: NotRequired[str]
    """Where `docs/runbooks` is published: alerts link there. Defaults to none."""
    alertmanager_image: NotRequired[pulumi.Input[str]]
    """Image of Alertmanager; needed with receivers."""
    grafana: NotRequired[GrafanaArgs]
    """A Grafana with the dashboards. Defaults to none."""
    remote_write: NotRequired[RemoteWriteArgs]
    """Sends recorded series on to a cloud's Prometheus. Defaults to nowhere."""
    ground: NotRequired[str]
    """`plain` is one Prometheus without anything else, `kubePrometheusStack` the operator of that chart with a volume;
    rules, series and outputs are the same. Defaults to `plain`."""
    kube_prometheus_stack: NotRequired[KubePrometheusStackArgs]
    """What only that ground takes. Defaults to nothing."""
    kubelet_insecure_tls: NotRequired[bool]
    """Accept kubelets whose certificate the cluster's own authority did not sign, as kind's. Defaults to false."""


class MonitoringStack(pulumi.ComponentResource):
    """Prometheus with recording rules for latency, errors, CPU and memory per model and version."""

    prometheus_url: pulumi.Output[str]
    """URL of Prometheus inside the cluster, known once it is ready."""
    namespace: pulumi.Output[str]
    """Namespace of Prometheus."""
    alertmanager_url: pulumi.Output[str]
    """URL of Alertmanager inside the cluster, known once it is ready; empty without receivers."""

    grafana_url: pulumi.Output[str]
    """URL of Grafana, known once it is ready; empty without one."""

    def __init__(self, name: str, args: MonitoringStackArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("MonitoringStack"), name, {}, opts)
        spec = monitoring_spec(name, args)
        namespace = RestrictedNamespace(
            f"{name}-namespace", {"name": spec.namespace}, pulumi.ResourceOptions(parent=self)
        )
        inside = pulumi.ResourceOptions(parent=self, depends_on=[namespace])
        self.namespace = pulumi.Output.from_input(spec.namespace)
        if args.get("ground") == GROUND:
            self.prometheus_url = register_chart(name, spec, args.get("kube_prometheus_stack", {}), inside)
        else:
            self.prometheus_url = _plain(name, spec, inside)
        self.alertmanager_url = pulumi.Output.from_input("")
        if spec.alertmanager is not None:
            self.alertmanager_url = _alertmanager(f"{name}-alertmanager", spec.alertmanager, inside)
        self.grafana_url = pulumi.Output.from_input("")
        if "grafana" in args:
            grafana = grafana_of(spec.namespace, args["grafana"], spec.runbook_base_url)
            self.grafana_url = _grafana(f"{name}-grafana", grafana, inside)
        outputs = {
            "prometheusUrl": self.prometheus_url,
            "alertmanagerUrl": self.alertmanager_url,
            "grafanaUrl": self.grafana_url,
        }
        self.register_outputs({**outputs, "namespace": self.namespace})


def _plain(name: str, spec: MonitoringSpec, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """Register one Prometheus; its URL."""
    *before, service, deployment = monitoring_manifests(spec)
    created = register_all(before, name, opts)
    after = pulumi.ResourceOptions(parent=opts.parent, depends_on=created)
    # Side by side: the provider holds a Service until a pod stands behind it.
    _, prometheus = register_all([service, deployment], name, after)
    return prometheus.urn.apply(lambda _: f"http://{NAME}.{spec.namespace}.svc:{PORT}")


def _alertmanager(name: str, spec: AlertmanagerSpec, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """Register Alertmanager beside Prometheus; its URL."""
    *before, service, deployment = (kept_secret(manifest) for manifest in alertmanager_manifests(spec))
    created = register_all(before, name, opts)
    after = pulumi.ResourceOptions(parent=opts.parent, depends_on=created)
    _, ready = register_all([service, deployment], name, after)
    return ready.urn.apply(lambda _: f"http://{spec.address}")


def _grafana(name: str, spec: GrafanaSpec, opts: pulumi.ResourceOptions) -> pulumi.Output[str]:
    """Register Grafana beside Prometheus; its URL."""
    *before, service, deployment = grafana_manifests(spec)
    created = register_all(before, name, opts)
    after = pulumi.ResourceOptions(parent=opts.parent, depends_on=created)
    _, ready = register_all([service, deployment], name, after)
    return ready.urn.apply(lambda _: spec.url)


def kept_secret(manifest: Manifest) -> Manifest:
    """A Secret whose content is encrypted in the state; any other object as it is."""
    if manifest["kind"] != "Secret":
        return manifest
    texts = {name: pulumi.Output.secret(text) for name, text in manifest["stringData"].items()}
    return {**manifest, "stringData": texts}


def monitoring_spec(name: str, args: MonitoringStackArgs) -> MonitoringSpec:
    """Validate the inputs; raises `ValueError` with one sentence."""
    where = f'MonitoringStack("{name}")'
    retention = as_int(args.get("retention_hours"), 360)
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
    quality = args.get("quality", [])
    refuse_quality(where, quality, retention)
    promised = tuple(slo_of(slo) for slo in slos), tuple(quality_of(promise) for promise in quality)
    seen = [*grafana_misfits(args["grafana"])] if "grafana" in args else []
    refuse(where, [*ground_misfits(args), *remote_write_misfits(args), *delivery_misfits(args, *promised), *seen])
    if args.get("receivers") and not args.get("alertmanager_image"):
        raise ValueError(f"{where}.alertmanager_image: missing: got nothing, allowed an image; add it.")
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
        slos=promised[0],
        qualities=promised[1],
        # Grafana asks it from its own namespace.
        readers_namespaces=(*readers, *([namespace] if "grafana" in args else [])),
        retention_hours=retention,
        storage_mb=storage,
        storage_class=args.get("storage_class", ""),
        alerts=tuple(alert_rule_of(alert) for alert in args.get("alerts", [])),
        alertmanager=alertmanager_of(namespace, args),
        remote_write=remote_write_of(args),
        external_url=args.get("external_urls", {}).get("prometheus", ""),
        runbook_base_url=args.get("runbook_base_url", ""),
    )


def refuse_slos(where: str, slos: Sequence[SloArgs]) -> None:
    """Raise `ValueError` with one sentence about objectives that cannot be."""
    _refuse_twice(f"{where}.slos", [(slo["model"], slo["version"]) for slo in slos])
    for slo in slos:
        refuse(f"{where}.slos {slo['model']} {slo['version']}", list(slo_misfits(slo)))


def refuse_quality(where: str, quality: Sequence[QualityArgs], retention_hours: int) -> None:
    """Raise `ValueError` with one sentence about promises that cannot be."""
    _refuse_twice(f"{where}.quality", [(promise["model"], promise["version"]) for promise in quality])
    for promise in quality:
        misfits = list(quality_misfits(promise, retention_hours))
        refuse(f"{where}.quality {promise['model']} {promise['version']}", misfits)


def _refuse_twice(where: str, names: Sequence[tuple[str, str]]) -> None:
    for model, version in names:
        if names.count((model, version)) > 1:
            raise ValueError(
                f"{where}: two objectives of one version: got {model} {version} twice, allowed one each; remove one."
            )
