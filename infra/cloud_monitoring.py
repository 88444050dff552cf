"""What a stack says about alerts in its cluster's own cloud, in the terms of the components."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import pulumi
from pydantic import SecretStr

from infra.clouds import cluster_name, told
from infra.config_cluster import EksSettings, GkeSettings, Provider
from infra.config_ground import MonitoringGround
from infra.config_schema import Environment, Settings
from infra.config_section import ENCRYPTED
from infra.misfits import dotted
from infra.objectives import slo_args
from tools.problem import Problem

if TYPE_CHECKING:
    # Importing the components costs seconds, and the command line reads every stack.
    from modelway.cluster.findings import Findings
    from modelway.monitoring.aws_arguments import AmazonMonitoringArgs
    from modelway.monitoring.gcp_arguments import GoogleMonitoringArgs
    from modelway.monitoring.remote_write import RemoteWriteArgs

WHERE = "modelway:monitoring.cloud"
OF_PROVIDER = {
    Provider.EKS: ("page_url", "retention_days", "container_insights"),
    Provider.GKE: ("page_pagerduty_key",),
}
"""Keys that only one of the clouds has."""
SAID = ("region", "project", "deployer_role_arn", "cluster_name", "labels", "slos")
"""Arguments that the cluster or the models say, where they are checked."""
SECRETS = ("page_url", "page_pagerduty_key")


def amazon_args(settings: Settings, cluster: EksSettings, running: pulumi.Input[str]) -> "AmazonMonitoringArgs":
    """Arguments of `AmazonMonitoring`; `running` is the cluster's name, known once its pods run."""
    args = _amazon(settings, cluster, lambda secret: pulumi.Output.secret(secret.get_secret_value()))
    return cast("AmazonMonitoringArgs", {**args, "running_cluster": running})


def google_args(settings: Settings, cluster: GkeSettings, running: pulumi.Input[str]) -> "GoogleMonitoringArgs":
    """Arguments of `GoogleMonitoring`; `running` is the cluster's name, known once it runs."""
    args = _google(settings, cluster, lambda secret: pulumi.Output.secret(secret.get_secret_value()))
    return cast("GoogleMonitoringArgs", {**args, "running_cluster": running})


def sending_args(settings: Settings, url: pulumi.Input[str]) -> "RemoteWriteArgs":
    """What Prometheus in the cluster is told about the cloud that it sends to."""
    cloud = "aws_region" if isinstance(settings.cluster, EksSettings) else "google_location"
    region = cast(EksSettings | GkeSettings, settings.cluster).region
    return cast("RemoteWriteArgs", {"url": url, cloud: region, "cluster": cluster_name(settings)})


def _amazon(settings: Settings, cluster: EksSettings, reveal: Callable[[SecretStr], Any]) -> dict[str, Any]:
    return {
        "region": cluster.region,
        "deployer_role_arn": cluster.deployer_role_arn,
        "cluster_name": cluster_name(settings),
        "kubernetes_version": cluster.kubernetes_version,
        "production": settings.environment is Environment.PRODUCTION,
        "slos": slo_args(settings),
        "tags": cluster.tags or {},
        **_said(settings, reveal),
    }


def _google(settings: Settings, cluster: GkeSettings, reveal: Callable[[SecretStr], Any]) -> dict[str, Any]:
    return {
        "project": cluster.project,
        "region": cluster.region,
        "cluster_name": cluster_name(settings),
        "slos": slo_args(settings),
        "labels": cluster.labels or {},
        **_said(settings, reveal),
    }


def _said(settings: Settings, reveal: Callable[[SecretStr], Any]) -> dict[str, Any]:
    own = settings.monitoring.cloud
    said = own.model_dump(exclude_none=True) if own else {}
    return {key: reveal(value) if isinstance(value, SecretStr) else value for key, value in said.items()}


def cloud_monitoring_problems(settings: Settings) -> Iterator[Problem]:
    """What the components would refuse, and what the stack has no cloud for."""
    own, provider = settings.monitoring.cloud, settings.cluster.provider
    if own is None:
        return
    if not settings.monitoring.enabled:
        yield Problem(WHERE, "not used", "monitoring off", "with monitoring", "remove cloud")
        return
    if not provider.is_cloud:
        what, allowed = "no cloud whose cluster the stack makes", "eks or gke"
        yield Problem(WHERE, what, f"provider {provider}", allowed, "remove cloud")
        return
    for owner, keys in OF_PROVIDER.items():
        for key in keys:
            if owner is not provider and getattr(own, key) is not None:
                name = dotted(key)
                got, what = f"{name} with provider {provider}", f"a setting of provider {owner}"
                yield Problem(f"{WHERE}.{name}", what, got, f"only with {owner}", f"remove {name}")
    if not slo_args(settings):
        allowed = "slo of one model or more"
        yield Problem(WHERE, "nothing to watch", "no model with slo", allowed, "set slo of a model, or remove cloud")
    if provider is Provider.GKE and settings.monitoring.ground is MonitoringGround.KUBE_PROMETHEUS_STACK:
        # What `MonitoringStack` says of `remote_write.google_location`.
        what, got = "the operator cannot sign for Google Cloud", "monitoring.ground kubePrometheusStack"
        yield Problem(WHERE, what, got, "with ground plain", "change the ground, or remove cloud")
    yield from told(WHERE, *_found(settings))


def _found(settings: Settings) -> "tuple[Findings, set[str], tuple[str, ...]]":
    """Findings of the component, its names, and what is said elsewhere."""
    if isinstance(settings.cluster, EksSettings):
        from modelway.monitoring import aws_arguments as amazon

        args = _without_unknown(_amazon(settings, settings.cluster, _known), Provider.EKS)
        names = {*amazon.AmazonMonitoringArgs.__annotations__}
        return amazon.check("watch", cast("AmazonMonitoringArgs", args)), names, SAID
    from modelway.monitoring import gcp_arguments as google

    cluster = cast(GkeSettings, settings.cluster)
    args = _without_unknown(_google(settings, cluster, _known), Provider.GKE)
    names = {*google.GoogleMonitoringArgs.__annotations__}
    return google.check("watch", cast("GoogleMonitoringArgs", args)), names, SAID


def _known(secret: SecretStr) -> str | None:
    """What is encrypted in a file is not known yet."""
    value = secret.get_secret_value()
    return None if value == ENCRYPTED else value


def _without_unknown(args: Mapping[str, Any], provider: Provider) -> dict[str, Any]:
    """Less what is not known, less keys of the other cloud, which are refused by themselves."""
    others = {key for owner, keys in OF_PROVIDER.items() if owner is not provider for key in keys}
    return {key: value for key, value in args.items() if value is not None and key not in others}


def plain_secrets(monitoring: Any) -> list[str]:
    """Paths below `modelway:monitoring` of secrets that stand in the stack file as everybody can read them."""
    cloud = monitoring.get("cloud") if isinstance(monitoring, Mapping) else None
    names = [dotted(key) for key in SECRETS]
    return [f"cloud.{name}" for name in names if isinstance(cloud, Mapping) and isinstance(cloud.get(name), str)]
