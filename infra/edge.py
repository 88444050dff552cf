"""What a stack says about its edge, in the terms of the components: who is let in, and how much of it."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from modelway.gateway.policy import (
    OWN_CLASS,
    Auth,
    Connections,
    Cors,
    Jwt,
    Limits,
    Policy,
    auth_of,
    cors_of,
    policy_of,
)
from modelway.gateway.policy_checks import (
    ENVOY_GATEWAY_ONLY,
    auth_misfits,
    connection_misfits,
    cors_misfits,
    limit_misfits,
    range_misfits,
)
from modelway.serving.runtime_checks import Misfit
from pydantic.alias_generators import to_camel

from infra.config_gateway import GatewaySettings
from infra.config_schema import Access, Environment, ModelSettings, Settings
from infra.misfits import dotted, problem_of, spelling
from infra.serving import runtime
from infra.traces import gateway_traces
from tools.problem import Problem

if TYPE_CHECKING:
    # Importing the components costs seconds, and the command line reads every stack.
    from modelway.gateway.gateway import ConnectionsArgs, GatewayArgs
    from modelway.tracing.arguments import GatewayTracesArgs

GATEWAY = "modelway:gateway"
_NAMES = {field.name for kind in (Auth, Connections, Cors, Jwt, Limits, Policy) for field in fields(kind)}
_SPELLED = spelling(_NAMES)


def access_of(settings: Settings, model: ModelSettings) -> Access:
    """Who reaches a model: what it says, else whoever has a key in production, and everyone elsewhere."""
    default = Access.KEYED if settings.environment is Environment.PRODUCTION else Access.PUBLIC
    return model.access or default


def service_args(settings: Settings, model: ModelSettings) -> dict[str, Any]:
    """The arguments of `ModelService` that concern the edge: the gateway's settings and the model's own over them."""
    gateway, access = settings.gateway, access_of(settings, model)
    args: dict[str, Any] = {"access": access.value, "proxies": gateway.replicas}
    limits = {**_said(gateway.limits), **_said(model.limits)}
    if limits:
        args["limits"] = limits
    if access is Access.KEYED and gateway.auth is not None:
        args["auth"] = _said(gateway.auth)
    if access is not Access.INTERNAL:
        if gateway.source_ranges:
            args["source_ranges"] = gateway.source_ranges
        if gateway.cors is not None:
            args["cors"] = _said(gateway.cors)
    return args


def gateway_args(settings: Settings, ground: "GatewayArgs") -> "GatewayArgs":
    """The arguments of `Gateway`: those of the ground, and what all models need of it."""
    gateway = settings.gateway
    if gateway.class_name != OWN_CLASS:
        kept = {name: value for name, value in ground.items() if name not in ENVOY_GATEWAY_ONLY}
        return cast("GatewayArgs", {**kept, "class_name": gateway.class_name})
    args: GatewayArgs = {**ground, "connections": cast("ConnectionsArgs", gateway.connections.model_dump())}
    if gateway.trusted_proxies:
        args["trusted_proxies"] = gateway.trusted_proxies
    elif _needs_addresses(settings):
        args["client_addresses"] = True
    if any(access_of(settings, model) is Access.INTERNAL for model in settings.models):
        args["internal"] = True
    if gateway.auth and gateway.auth.jwt and gateway.auth.jwt.jwks_url:
        args["jwks_ports"] = [urlsplit(gateway.auth.jwt.jwks_url).port or 443]
    if (traces := gateway_traces(settings)) is not None:
        args["traces"] = cast("GatewayTracesArgs", traces)
    return args


def refusals(settings: Settings, model: ModelSettings) -> frozenset[int]:
    """Statuses by which the gateway shows that it guards a model from whoever has no key or no address."""
    access = access_of(settings, model)
    keyed = {401} if access is Access.KEYED else set()
    return frozenset(keyed | ({403} if settings.gateway.source_ranges and access is not Access.INTERNAL else set()))


def keys_are_needed(settings: Settings) -> bool:
    """Whether clients have API keys, which a Secret has to hold."""
    auth = settings.gateway.auth
    # Also while no model asks for them: a model that is public for an hour must not delete every client's key.
    return auth is not None and auth.method == "api-key"


def _needs_addresses(settings: Settings) -> bool:
    if settings.gateway.source_ranges:
        return True
    args = [policy_of(service_args(settings, model)) for model in settings.models]
    return any(each.access == "public" and each.limits.requests_per_second_per_client is not None for each in args)


def _said(section: Any) -> dict[str, Any]:
    result: dict[str, Any] = section.model_dump(exclude_none=True)
    return result


def edge_problems(settings: Settings) -> list[Problem]:
    """Everything that the components would refuse at the edge, and what only a whole stack can get wrong."""
    if settings.gateway.class_name != OWN_CLASS:
        return list(_foreign(settings))
    return [
        *_gateway(settings),
        *_unused(settings),
        *(found for each in settings.models for found in _model(settings, each)),
    ]


def _gateway(settings: Settings) -> Iterator[Problem]:
    gateway = settings.gateway
    misfits = connection_misfits(Connections(**gateway.connections.model_dump()), gateway.trusted_proxies)
    misfits += range_misfits(gateway.source_ranges)
    if gateway.auth is not None:
        misfits += auth_misfits(auth_of(_said(gateway.auth)))
    if gateway.cors is not None:
        misfits += cors_misfits(cors_of(_said(gateway.cors)))
    misfits += limit_misfits(Limits(**gateway.limits.model_dump()), gateway.replicas)
    for misfit in misfits:
        yield _problem(GATEWAY, misfit)


def _unused(settings: Settings) -> Iterator[Problem]:
    """What no model would ever meet."""
    gateway, met = settings.gateway, {access_of(settings, model) for model in settings.models}
    if gateway.auth is not None and Access.KEYED not in met:
        allowed = "a model with access keyed"
        yield Problem(f"{GATEWAY}.auth", "no model is keyed", "auth", allowed, "set access of a model, or remove auth")
    if met == {Access.INTERNAL}:
        for name in ("cors", "source_ranges"):
            if getattr(gateway, name):
                where, allowed = f"{GATEWAY}.{to_camel(name)}", "a model with access public or keyed"
                yield Problem(where, "every model is internal", to_camel(name), allowed, f"remove {to_camel(name)}")


def _model(settings: Settings, model: ModelSettings) -> Iterator[Problem]:
    where, gateway = f"modelway:models {model.name}", settings.gateway
    access = access_of(settings, model)
    if access is Access.PUBLIC and settings.environment is Environment.PRODUCTION:
        allowed = "keyed, internal"
        yield Problem(
            f"{where}.access", "public in a production stack", "public", allowed, "remove access or change it"
        )
    if access is Access.KEYED and gateway.auth is None:
        allowed = "method api-key or jwt"
        yield Problem(
            f"{GATEWAY}.auth", f"missing for keyed model {model.name}", "nothing", allowed, "set gateway.auth"
        )
    policy = policy_of(service_args(settings, model))
    try:
        servers = [runtime(model, version) for version in model.versions]
    except (KeyError, TypeError, ValueError):
        return  # What is wrong with a server is said where servers are checked.
    known = set(limit_misfits(Limits(**gateway.limits.model_dump()), gateway.replicas))
    for misfit in limit_misfits(policy.limits, policy.proxies, servers):
        if misfit not in known:
            own = getattr(model.limits, misfit.field.removeprefix("limits."), None) is not None
            found = _problem(where if own else GATEWAY, misfit)
            # The default may be right by itself: what it does not fit is this model.
            yield found if own else replace(found, where=f"{found.where} for model {model.name}")


def _foreign(settings: Settings) -> Iterator[Problem]:
    """Fields that need Envoy Gateway, by name; what a standard route says is left: hosts, paths, weights, timeouts."""
    gateway = settings.gateway
    said = [f"{GATEWAY}.{dotted(name)}" for name in sorted(_needing(gateway))]
    said += [f"modelway:images.{name}" for name in ("gateway", "proxy") if getattr(settings.images, name) is not None]
    for model in settings.models:
        where = f"modelway:models {model.name}"
        if access_of(settings, model) is not Access.PUBLIC:
            said.append(f"{where}.access")
        said += [f"{where}.limits.{to_camel(name)}" for name in _limits(model.limits)]
    for name in said:
        what = f"not known to gateway class {gateway.class_name}"
        yield Problem(name, what, "a value", "only with className modelway", "remove it, or remove className")
    for model in settings.models:
        if access_of(settings, model) is Access.PUBLIC and settings.environment is Environment.PRODUCTION:
            yield Problem(
                f"modelway:models {model.name}.access",
                "public in a production stack",
                "public",
                "keyed, internal",
                "remove className, or change environment",
            )


def _needing(gateway: GatewaySettings) -> Iterator[str]:
    for name in ("replicas", "chart", "auth", "source_ranges", "trusted_proxies", "cors", "connections"):
        if name in gateway.model_fields_set:
            yield name
    for name in _limits(gateway.limits):
        yield f"limits.{name}"


def _limits(limits: Any) -> list[str]:
    return [name for name in _said(limits) if name != "timeout_seconds"]


def _problem(where: str, misfit: Misfit) -> Problem:
    return problem_of(where, misfit, _SPELLED)
