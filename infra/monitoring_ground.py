"""What a stack says about the ground of its monitoring, in the terms of the components."""

from collections.abc import Iterator

from modelway.monitoring.chart_ground import KubePrometheusStackArgs

from infra.config_ground import MonitoringGround
from infra.config_schema import DIGEST, Environment, Provider, Settings
from tools.problem import Problem

_SPELLED = {"operator": "operator", "config_reloader": "configReloader"}


def ground_problems(settings: Settings) -> list[Problem]:
    """A ground or a volume that the cluster cannot have, and keys of another ground."""
    return [*_volume_problems(settings), *_chart_problems(settings)]


def _volume_problems(settings: Settings) -> Iterator[Problem]:
    monitoring, where = settings.monitoring, "modelway:monitoring.storageClass"
    if monitoring.storage_class is None:
        return
    if not monitoring.enabled:
        yield Problem(where, "not used", "monitoring off", "with monitoring", "remove storageClass")
    elif settings.cluster.provider is Provider.NODE:
        what, got = "the one-node Kubernetes makes no volumes", repr(monitoring.storage_class)
        yield Problem(where, what, got, "none on provider node", "remove storageClass")


def _chart_problems(settings: Settings) -> list[Problem]:
    monitoring, where = settings.monitoring, "modelway:monitoring"
    chart = MonitoringGround.KUBE_PROMETHEUS_STACK
    if monitoring.ground is chart and settings.cluster.provider is Provider.NODE:
        what, fix = "the one-node Kubernetes reaches no charts", "remove ground, or change the cluster"
        return [Problem(f"{where}.ground", what, repr(str(chart)), "plain on provider node", fix)]
    images = settings.images.prometheus_operator
    given = {
        f"{where}.chart": monitoring.chart,
        "modelway:images.prometheusOperator": images,
    }
    if monitoring.ground is not chart or not monitoring.enabled:
        return [
            Problem(key, "not used without its ground", "it", f"with monitoring.ground {chart}", f"remove {key}")
            for key, value in given.items()
            if value is not None
        ]
    if settings.environment is not Environment.PRODUCTION:
        return []
    named = images.model_dump() if images else dict.fromkeys(_SPELLED)
    return [
        Problem(
            f"modelway:images.prometheusOperator.{_SPELLED[role]}",
            "no digest in a production stack",
            repr(image),
            "REPOSITORY@sha256:<64 hex digits>",
            "set it",
        )
        for role, image in named.items()
        if not (image and DIGEST.fullmatch(image))
    ]


def chart_args(settings: Settings) -> KubePrometheusStackArgs:
    """What the ground `kubePrometheusStack` takes."""
    args: KubePrometheusStackArgs = {}
    if settings.monitoring.chart is not None:
        args["chart"] = settings.monitoring.chart
    if (images := settings.images.prometheus_operator) is not None:
        args["operator_image"] = images.operator
        args["config_reloader_image"] = images.config_reloader
    return args
