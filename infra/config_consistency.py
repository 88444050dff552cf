"""Rules of the stack config that span several keys."""

import re
from collections.abc import Mapping
from typing import Any

from infra.alerting import alerting_problems
from infra.autoscaling import autoscaling_problems
from infra.cloud_monitoring import cloud_monitoring_problems
from infra.clouds import cloud_problems
from infra.config_place import place_problems
from infra.config_schema import DIGEST, Environment, ModelSettings, Settings, VersionSettings
from infra.cost import cost_problems
from infra.edge import edge_problems
from infra.evaluation import evaluation_problems
from infra.grafana import grafana_problems
from infra.logs import log_problems
from infra.monitoring_ground import ground_problems
from infra.objectives import slo_problems
from infra.policies import policy_problems
from infra.quality import quality_problems
from infra.registries import registry_problems
from infra.rollout import rollout_problems
from infra.routes import route_problems, weighted
from infra.serving import serving_problems
from infra.tls import tls_problems
from infra.traces import trace_problems
from tools.problem import Problem

OWN_ROUTES = ("split", "unknown", "judge")
HOST = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")


def consistency_problems(settings: Settings, stack: str) -> list[Problem]:
    """What types alone cannot say: sums, names used twice, keys that exclude each other."""
    problems = _duplicates("modelway:models", "model", [model.name for model in settings.models])
    for model in settings.models:
        where = f"modelway:models {model.name}"
        problems += _duplicates(f"{where}.versions", "version", [version.name for version in model.versions])
        problems += _weights(where, [version.weight for version in weighted(model)])
        for version in model.versions:
            problems += _version(settings, f"{where}.{version.name}", model, version)
        problems += serving_problems(settings, model) + slo_problems(settings, model)
        problems += quality_problems(settings, model)
        problems += route_problems(settings, model)
        if model.path_prefix == "/" and model.host is None:
            problems.append(
                Problem(
                    f"{where}.pathPrefix", "takes every model's paths", "'/'", "'/' only together with host", "set host"
                )
            )
    problems += _routes(settings) + _object_names(settings) + _platform_images(settings) + edge_problems(settings)
    problems += ground_problems(settings)
    problems += (
        alerting_problems(settings)
        + list(grafana_problems(settings))
        + list(cloud_monitoring_problems(settings))
        + policy_problems(settings)
        + tls_problems(settings)
        + autoscaling_problems(settings)
    )
    problems += rollout_problems(settings) + evaluation_problems(settings) + registry_problems(settings)
    problems += log_problems(settings) + trace_problems(settings)
    return problems + cost_problems(settings) + cloud_problems(settings) + place_problems(settings, stack)


def raw_consistency_problems(own: Mapping[str, Any]) -> list[Problem]:
    """Weights and duplicates of a config that is wrong elsewhere, so that they are not found one run later."""
    models = own.get("models")
    problems: list[Problem] = []
    for model in models if isinstance(models, list) else []:
        versions = model.get("versions") if isinstance(model, dict) else None
        if not isinstance(versions, list) or not all(isinstance(version, dict) for version in versions):
            continue
        where = f"modelway:models {model.get('name')}"
        names = [version.get("name") for version in versions]
        weights = [version.get("weight") for version in versions if version.get("shadow") is not True]
        problems += _duplicates(f"{where}.versions", "version", [name for name in names if isinstance(name, str)])
        if all(weight is None or type(weight) is int for weight in weights):
            problems += _weights(where, weights)
    return problems


def _duplicates(where: str, what: str, names: list[str]) -> list[Problem]:
    repeated = sorted({name for name in names if names.count(name) > 1})
    return [
        Problem(where, f"{what} name used twice", repr(name), "each name once", f"rename or remove one {what}")
        for name in repeated
    ]


def _weights(where: str, weights: list[int | None]) -> list[Problem]:
    """Of the versions that are no shadows; that there are none at all is said elsewhere."""
    known = [100 if weight is None and len(weights) == 1 else weight or 0 for weight in weights]
    if sum(known) == 100 or not weights:
        return []
    got = " + ".join(map(str, known))
    return [
        Problem(
            f"{where}.versions weight",
            "weights do not sum to 100",
            f"{got} = {sum(known)}",
            "whole numbers with the sum 100",
            "change the weights",
        )
    ]


def _version(settings: Settings, where: str, model: ModelSettings, version: VersionSettings) -> list[Problem]:
    problems = []
    if len(f"{model.name}-{version.name}") > 63:
        problems.append(
            Problem(
                where,
                "names too long together",
                f"{len(model.name) + len(version.name) + 1} characters",
                "at most 63 for MODEL-VERSION",
                "shorten one of them",
            )
        )
    if settings.environment is Environment.PRODUCTION and version.image and not DIGEST.fullmatch(version.image):
        problems.append(
            Problem(
                f"{where}.image",
                "no digest in a production stack",
                repr(version.image),
                "REPOSITORY@sha256:<64 hex digits>",
                "write the digest that `package` printed",
            )
        )
    if version.autoscaling and version.replicas is not None:
        problems.append(
            Problem(
                f"{where}.replicas",
                "set together with autoscaling",
                str(version.replicas),
                "one of the two",
                "remove replicas, the autoscaler owns it",
            )
        )
    return problems


def _platform_images(settings: Settings) -> list[Problem]:
    """Production names the platform's own images by digest too; the proxy's default is one already."""
    images = {"gateway": settings.images.gateway, "proxy": settings.images.proxy}
    if settings.monitoring.enabled:
        images["prometheus"] = settings.images.prometheus
    if settings.environment is not Environment.PRODUCTION:
        return []
    return [
        Problem(
            f"modelway:images.{role}",
            "no digest in a production stack",
            repr(image),
            "REPOSITORY@sha256:<64 hex digits>",
            f"set images.{role}",
        )
        for role, image in images.items()
        if not (image and DIGEST.fullmatch(image)) and not (role == "proxy" and image is None)
    ]


def _routes(settings: Settings) -> list[Problem]:
    """Hosts that are none, and paths within each other on one host, where one model would take the other's versions."""
    problems: list[Problem] = []
    seen: list[tuple[str, str, str]] = []
    for model in settings.models:
        where = f"modelway:models {model.name}"
        if model.host is not None and not (len(model.host) <= 253 and HOST.fullmatch(model.host)):
            allowed = "a DNS name in lower case, without scheme and port"
            problems.append(Problem(f"{where}.host", "no host", repr(model.host), allowed, "correct it"))
        host, path = model.host or "*", (model.path_prefix or f"/{model.name}").rstrip("/")
        for other, other_host, other_path in seen:
            if host != other_host or not _within(path, other_path) or other == model.name:
                continue
            what, got = "same host and path as another model", f"{other_host}{other_path} of {other}"
            if path != other_path:
                what, got = "paths within each other", f"{host}{path} and {got}"
            problems.append(Problem(where, what, got, "a host and path of its own", "set pathPrefix or host"))
        seen.append((model.name, host, path))
    return problems


def _within(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _object_names(settings: Settings) -> list[Problem]:
    """Objects are named MODEL-VERSION and MODEL-ALIAS: `a` with `b-c` would be `a-b` with `c`."""
    seen: dict[str, str] = {}
    problems = []
    for model in settings.models:
        names = [*(version.name for version in model.versions), *model.aliases, *OWN_ROUTES]
        for each in dict.fromkeys(names):
            name = f"{model.name}-{each}"
            if name in seen:
                got = f"{name} of {seen[name]} and of {model.name}"
                where, fix = f"modelway:models {model.name}", "rename one model or version"
                problems.append(Problem(where, "two objects of one name", got, "different MODEL-VERSION", fix))
            seen.setdefault(name, model.name)
    return problems
