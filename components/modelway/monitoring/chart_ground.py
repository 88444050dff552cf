"""Registers Prometheus as kube-prometheus-stack runs it, with the Service, rights and policies of the plain ground."""

from collections.abc import Iterator
from typing import Any, NotRequired, TypedDict

import pulumi

from modelway._common import Manifest, register, register_all
from modelway.monitoring.chart import (
    CHART,
    CHART_VERSION,
    OPERATOR_IMAGE,
    RELEASE,
    RELOADER_IMAGE,
    ChartSpec,
    chart_values,
    image_values,
    operator_network_policy,
)
from modelway.monitoring.objects import NAME, PORT, MonitoringSpec, config_of, monitoring_manifests, rules_of
from modelway.monitoring.operator import crd_manifests, operator_manifests
from modelway.serving.misfit import Misfit

GROUND = "kubePrometheusStack"
GROUNDS = ("plain", GROUND)
_ONLY_PLAIN = ("ConfigMap", "PersistentVolumeClaim", "Deployment")
"""Kinds that the operator makes itself."""


class KubePrometheusStackArgs(TypedDict):
    """What the ground `kubePrometheusStack` takes beside what both grounds take."""

    chart: NotRequired[str]
    """Helm chart: an OCI reference or a file. Defaults to the official chart at the pinned version."""
    install_crds: NotRequired[bool]
    """Whether the operator's CRDs are brought along, or the cluster has them. Defaults to true."""
    operator_image: NotRequired[pulumi.Input[str]]
    """Image of the operator. Defaults to the chart's own."""
    config_reloader_image: NotRequired[pulumi.Input[str]]
    """Image of what tells Prometheus of changes. Defaults to the chart's own."""


def ground_misfits(args: Any) -> Iterator[Misfit]:
    """What `MonitoringStack` refuses about its ground."""
    ground = args.get("ground", "plain")
    if ground not in GROUNDS:
        yield Misfit("ground", "unknown ground", repr(ground), " or ".join(GROUNDS), "correct it")
    elif ground != GROUND and "kube_prometheus_stack" in args:
        yield Misfit(
            "kube_prometheus_stack", "not used with ground plain", "it", f"only with ground {GROUND}", "remove it"
        )


def register_chart(
    name: str, spec: MonitoringSpec, args: KubePrometheusStackArgs, inside: pulumi.ResourceOptions
) -> pulumi.Output[str]:
    """Register all of Prometheus in its namespace; its URL, known once it is ready."""
    import pulumi_kubernetes as k8s  # a second, which whoever only checks arguments does not need

    child = pulumi.ResourceOptions(parent=inside.parent)
    crds = crd_manifests() if args.get("install_crds", True) else ()
    definitions: list[pulumi.Resource] = [register(f"{name}-{crd['metadata']['name']}", crd, child) for crd in crds]
    *before, service = (manifest for manifest in monitoring_manifests(spec) if manifest["kind"] not in _ONLY_PLAIN)
    created = [*register_all(before, name, inside)]
    created.append(register(f"{name}-operator-network-policy", operator_network_policy(spec), inside))
    after = _after(inside, [*definitions, *created])
    for manifest in operator_manifests(spec.namespace, config_of(spec), rules_of(spec)):
        created.append(register(_logical(name, manifest), manifest, after))
    ready = _after(inside, [*definitions, *created])
    k8s.helm.v3.Release(
        f"{name}-release",
        name=RELEASE,
        namespace=spec.namespace,
        chart=args.get("chart", CHART),
        version=CHART_VERSION,
        skip_crds=True,
        values=chart_values(spec, _chart_spec(spec, args)),
        opts=ready,
    )
    # Beside the release: the provider holds a Service until a pod stands behind it.
    answering = register(f"{name}-service", service, ready)
    return answering.urn.apply(lambda _: f"http://{NAME}.{spec.namespace}.svc:{PORT}")


def _after(inside: pulumi.ResourceOptions, created: list[pulumi.Resource]) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(parent=inside.parent, depends_on=created)


def _logical(name: str, manifest: Manifest) -> str:
    kind = {"ScrapeConfig": "scrape-config", "PrometheusRule": "prometheus-rule"}[manifest["kind"]]
    return f"{name}-{kind}-{manifest['metadata']['name']}"


def _chart_spec(spec: MonitoringSpec, args: KubePrometheusStackArgs) -> ChartSpec:
    def parts(image: pulumi.Input[str]) -> Any:
        return pulumi.Output.from_input(image).apply(image_values)

    return ChartSpec(
        prometheus=parts(spec.image),
        operator=parts(args.get("operator_image", OPERATOR_IMAGE)),
        reloader=parts(args.get("config_reloader_image", RELOADER_IMAGE)),
    )
