"""What a stack says about service levels, in the terms of the components."""

from modelway.monitoring.slo import SloArgs, slo_misfits

from infra.config_schema import ModelSettings, Settings
from infra.misfits import problem_of, spelling
from infra.names import MODELS_NAMESPACE
from infra.routes import weight_of
from tools.problem import Problem

_SPELLED = spelling(SloArgs.__annotations__)
_FIELDS = {"latency_percent": "latency.percent", "latency_below_seconds": "latency.below_seconds"}


def slo_args(settings: Settings) -> list[SloArgs]:
    """The objective of every version of every model that has one."""
    return [args for model in settings.models for args in _versions(model)]


def slo_problems(settings: Settings, model: ModelSettings) -> list[Problem]:
    """What the components would refuse in a model's objective, and one that nobody would measure."""
    if model.slo is None:
        return []
    where = f"modelway:models {model.name}.slo"
    if not settings.monitoring.enabled:
        return [Problem(where, "nothing would measure it", "monitoring off", "with monitoring", "enable monitoring")]
    # Every version has the same objective, so the first one's faults are those of all.
    return [
        problem_of(where, misfit._replace(field=_FIELDS.get(misfit.field, misfit.field)), _SPELLED)
        for misfit in slo_misfits(_versions(model)[0])
    ]


def _versions(model: ModelSettings) -> list[SloArgs]:
    if model.slo is None:
        return []
    weighted = [version.name for version in model.versions if not version.shadow]
    found = []
    for version in model.versions:
        args: SloArgs = {
            "model": model.name,
            "version": version.name,
            "namespace": MODELS_NAMESPACE,
            "aliases": sorted(alias for alias, name in model.aliases.items() if name == version.name),
            "availability_percent": model.slo.availability_percent,
            "may_be_absent": version.autoscaling is not None and version.autoscaling.min_replicas == 0,
        }
        if version.name in weighted and (weight_of(model, version) or model.experiment is not None):
            # A place without a share is lent to another version, whose requests it then has.
            args["split_position"] = weighted.index(version.name)
        if model.slo.latency is not None:
            args["latency_percent"] = model.slo.latency.percent
            args["latency_below_seconds"] = model.slo.latency.below_seconds
        found.append(args)
    return found
