"""What a stack says about its routes, in the terms of the components: shares, aliases, sticky users, shadows."""

from collections.abc import Sequence
from typing import Any

from modelway.gateway.policy import Sticky, policy_of
from modelway.serving.routes_checks import Share, ingress_misfits, route_misfits, share_misfits
from modelway.serving.runtime_checks import Misfit

from infra.config_schema import ModelSettings, Settings, VersionSettings
from infra.edge import service_args
from infra.misfits import problem_of, spelling
from infra.serving import runtime
from tools.problem import Problem

_SPELLED = spelling(["gateway_class", "gateway_name", "path_prefix", "source_ranges"])


def weighted(model: ModelSettings) -> Sequence[VersionSettings]:
    """Versions of the split, also those with weight 0."""
    return [version for version in model.versions if not version.shadow]


def weight_of(model: ModelSettings, version: VersionSettings) -> int:
    """Share of the split in percent; 0 for a shadow."""
    if version.shadow:
        return 0
    if version.weight is not None:
        return version.weight
    return 100 if len(weighted(model)) == 1 else 0


def route_args(settings: Settings, model: ModelSettings) -> dict[str, Any]:
    """The arguments of `ModelService` that concern its routes."""
    if model.ingress is not None:
        return {"ingress": model.ingress.model_dump()}
    args: dict[str, Any] = {"gateway_class": settings.gateway.class_name}
    if model.sticky is not None:
        args["sticky"] = model.sticky.model_dump(exclude_none=True)
    if model.aliases:
        args["aliases"] = dict(model.aliases)
    return args


def route_problems(settings: Settings, model: ModelSettings) -> list[Problem]:
    """Everything that the components would refuse in a model's routes."""
    where = f"modelway:models {model.name}"
    shares = [Share(version.name, version.weight, version.shadow) for version in model.versions]
    sticky = Sticky(**model.sticky.model_dump()) if model.sticky else None
    policy = policy_of(service_args(settings, model))
    problems = [
        Problem(
            f"{where}.aliases {alias}",
            "names too long together",
            f"{len(model.name) + len(alias) + 1} characters",
            "at most 63 for MODEL-ALIAS",
            "shorten one of them",
        )
        for alias in model.aliases
        if len(f"{model.name}-{alias}") > 63
    ]
    found = route_misfits(shares, model.aliases, sticky, policy, settings.gateway.class_name)
    if model.ingress is not None:
        found += _ingress(settings, model, shares)
    return [
        *problems,
        *(problem_of(f"{where}.{each.name}", misfit, _SPELLED) for each in shares for misfit in share_misfits(each)),
        *(problem_of(where, misfit, _SPELLED) for misfit in found),
    ]


def _ingress(settings: Settings, model: ModelSettings, shares: Sequence[Share]) -> list[Misfit]:
    """What the model says beyond a plain Ingress, also by what the gateway's settings say for all models."""
    names = ("aliases", "docs", "experiment", "host", "path_prefix", "slo", "sticky")
    said = {**service_args(settings, model), **{name: getattr(model, name) for name in names}}
    try:
        servers = [runtime(model, version) for version in model.versions]
    except (KeyError, TypeError, ValueError):
        servers = []  # What is wrong with a server is said where servers are checked.
    return ingress_misfits(said, shares, servers)
