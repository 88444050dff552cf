"""What a stack says about the number of pods, in the terms of the components."""

from collections.abc import Iterator
from typing import Any

from modelway.serving.autoscaling_checks import Autoscaling, Sleeper, autoscaling_misfits, sleeper_misfits
from modelway.serving.runtime_checks import Misfit

from infra.config_schema import DIGEST, AutoscalingSettings, Environment, ModelSettings, Settings, VersionSettings
from infra.misfits import problem_of, spelling
from tools.problem import Problem

WHERE = "modelway:autoscaling"
_SPELLED = spelling(Autoscaling.__dataclass_fields__)
_KEDA_IMAGES = ("operator", "metrics_server")


def autoscaling_args(settings: Settings, autoscaling: AutoscalingSettings) -> dict[str, Any]:
    """The fields of `AutoscalingArgs` that are set."""
    args: dict[str, Any] = autoscaling.model_dump(exclude_none=True)
    if autoscaling.metric not in (None, "cpu"):
        args["source"] = settings.autoscaling.metrics.value
    return args


def uses_keda(settings: Settings) -> bool:
    """Whether a version is scaled by KEDA."""
    return settings.autoscaling.metrics.value == "keda" and any(_beyond_cpu(settings))


def installs_keda(settings: Settings) -> bool:
    """Whether the stack brings its own KEDA."""
    return uses_keda(settings) and settings.autoscaling.install_keda is not False


def sleepers(settings: Settings) -> list[tuple[ModelSettings, VersionSettings]]:
    """Versions that have no pods without requests."""
    return [(model, version) for model, version in _scaled(settings) if _settings(version).min_replicas == 0]


def sleeping_sentence(model: ModelSettings, version: VersionSettings) -> str:
    """What users of a version meet that has no pods without requests."""
    seconds = _settings(version).idle_seconds or Autoscaling.idle_seconds
    return (
        f"{model.name} {version.name} has no pods after {seconds} s without a request: the gateway then answers 503 "
        "with Retry-After until a pod is ready; such a request is not kept, clients have to ask again."
    )


def autoscaling_problems(settings: Settings) -> list[Problem]:
    """Everything that the components would refuse in autoscaling, and what only a whole stack can get wrong."""
    scaled = _scaled(settings)
    return [*_stack(settings), *(found for each in scaled for found in _version(settings, *each))]


def _version(settings: Settings, model: ModelSettings, version: VersionSettings) -> Iterator[Problem]:
    where = f"modelway:models {model.name}.{version.name}"
    args = autoscaling_args(settings, _settings(version))
    misfits: list[Misfit] = list(autoscaling_misfits(args, version.runtime.value))
    if not misfits:
        weight = 100 if version.weight is None and len(model.versions) == 1 else version.weight or 0
        experiment = getattr(model, "experiment", None) is not None
        sleeper = Sleeper(weight, version.shadow, experiment, settings.gateway.class_name)
        misfits = list(sleeper_misfits(args, sleeper))
    for misfit in misfits:
        yield problem_of(where, misfit, _SPELLED)


def _stack(settings: Settings) -> Iterator[Problem]:
    own, keda = settings.autoscaling, settings.autoscaling.metrics.value == "keda"
    for name in sorted(own.model_fields_set):
        if not any(_beyond_cpu(settings)):
            allowed = "only where a version has autoscaling by metric inFlight, queue or latency"
            yield Problem(f"{WHERE}.{_camel(name)}", "not used", _camel(name), allowed, f"remove {_camel(name)}")
    if own.install_keda is not None and not keda:
        allowed = "only with metrics keda"
        yield Problem(f"{WHERE}.installKeda", "not used", "metrics pods", allowed, "remove installKeda")
    if uses_keda(settings) and not settings.monitoring.enabled:
        allowed = "monitoring enabled, or metrics pods where the cluster has an adapter"
        yield Problem("modelway:monitoring.enabled", "KEDA asks Prometheus", "false", allowed, "enable monitoring")
    yield from _images(settings)


def _images(settings: Settings) -> Iterator[Problem]:
    images, where = settings.images.keda, "modelway:images.keda"
    if images is not None and not installs_keda(settings):
        allowed = "only where the stack installs KEDA"
        yield Problem(where, "not used", "images", allowed, "remove keda")
    if settings.environment is not Environment.PRODUCTION or not installs_keda(settings):
        return
    for name in _KEDA_IMAGES:
        image = getattr(images, name) if images else None
        if not DIGEST.fullmatch(image or ""):
            allowed = "REPOSITORY@sha256:<64 hex digits>"
            fix = f"set images.keda.{_camel(name)}, or installKeda to false where the cluster has KEDA"
            yield Problem(f"{where}.{_camel(name)}", "no digest in a production stack", repr(image), allowed, fix)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.capitalize() for part in others)


def _scaled(settings: Settings) -> Iterator[tuple[ModelSettings, VersionSettings]]:
    for model in settings.models:
        for version in model.versions:
            if version.autoscaling is not None:
                yield model, version


def _settings(version: VersionSettings) -> AutoscalingSettings:
    assert version.autoscaling is not None  # noqa: S101
    return version.autoscaling


def _beyond_cpu(settings: Settings) -> Iterator[bool]:
    return (_settings(version).metric not in (None, "cpu") for _, version in _scaled(settings))
