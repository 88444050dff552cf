"""From the arguments of `ModelService` to what decides its routes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelway._common import as_int, require_dns_label
from modelway.gateway.policy import OWN_CLASS, Sticky, policy_of
from modelway.gateway.policy_checks import policy_misfits
from modelway.serving.model_server import refuse, server_options
from modelway.serving.routes import Arm, RouteSpec
from modelway.serving.routes_checks import (
    INGRESS,
    MAX_VERSIONS,
    RESERVED_NAMES,
    Share,
    ingress_misfits,
    route_misfits,
    share_misfits,
)
from modelway.serving.runtime_checks import model_misfits, version_misfits
from modelway.serving.runtimes import Options, runtime_of


def route_spec(name: str, args: Mapping[str, Any]) -> RouteSpec:
    """Validate the inputs that concern routes; raises `ValueError` with one sentence."""
    where = f'ModelService("{name}")'
    require_dns_label(f"{where} name", f"{name}-split")
    versions = args["versions"]
    names = [version["name"] for version in versions]
    _require_names(where, names)
    aliases = _aliases(where, name, args.get("aliases", {}))
    policy = policy_of(args)
    sticky = Sticky(**args["sticky"]) if "sticky" in args else None
    gateway_class = INGRESS if "ingress" in args else args.get("gateway_class", OWN_CLASS)
    shares = _shares(versions)
    for share in shares:
        refuse(f"{where}.versions {share.name}", share_misfits(share))
    refuse(where, route_misfits(shares, aliases, sticky, policy, gateway_class))
    weights = _weights(where, versions)
    options = _options(where, args)
    runtimes = {version: runtime_of(name, version, options[version]) for version in names}
    refuse(where, policy_misfits(policy, list(runtimes.values())))
    if "ingress" in args:
        refuse(where, ingress_misfits(args, shares, list(runtimes.values())))
    prefix = _path_prefix(where, args.get("path_prefix", f"/{name}"), args.get("host"))
    return RouteSpec(
        model=name,
        namespace=args["namespace"],
        gateway_name=args.get("gateway_name", "modelway-internal" if policy.access == "internal" else "modelway"),
        gateway_namespace=args.get("gateway_namespace", "modelway-gateway"),
        arms=[
            Arm(version, f"{name}-{version}", weight, runtimes[version], shadow=bool(each.get("shadow", False)))
            for version, weight, each in zip(names, weights, versions, strict=True)
        ],
        path_prefix=prefix,
        host=args.get("host"),
        policy=policy,
        aliases=aliases,
        sticky=sticky,
        gateway_class=gateway_class,
    )


def _require_names(where: str, names: Sequence[str]) -> None:
    if not 1 <= len(names) <= MAX_VERSIONS:
        raise ValueError(
            f"{where}.versions: wrong number: got {len(names)}, allowed 1 to {MAX_VERSIONS}; "
            "remove versions that are no longer served."
        )
    for version in names:
        require_dns_label(f"{where}.versions name", version)
        _refuse_reserved(f"{where}.versions name", version, "version")
    if duplicates := sorted({version for version in names if names.count(version) > 1}):
        raise ValueError(
            f"{where}.versions: name used twice: got {', '.join(duplicates)}, allowed each name once; "
            "rename one of them."
        )


def _aliases(where: str, model: str, aliases: Mapping[str, str]) -> Mapping[str, str]:
    """The aliases, each of which is a segment of a path and the end of a route's name."""
    for alias in aliases:
        require_dns_label(f"{where}.aliases name", alias)
        require_dns_label(f"{where}.aliases name", f"{model}-{alias}")
        _refuse_reserved(f"{where}.aliases name", alias, "alias")
    return aliases


def _refuse_reserved(where: str, name: str, what: str) -> None:
    if name in RESERVED_NAMES:
        raise ValueError(
            f"{where}: reserved: got {name!r}, allowed any DNS label but {', '.join(RESERVED_NAMES)}; "
            f"rename the {what}."
        )


def _shares(versions: Sequence[Mapping[str, Any]]) -> list[Share]:
    return [
        Share(each["name"], as_int(each["weight"], 0) if "weight" in each else None, bool(each.get("shadow", False)))
        for each in versions
    ]


def _weights(where: str, versions: Sequence[Mapping[str, Any]]) -> list[int]:
    """Weight of each version, 0 for a shadow; raises `ValueError` with one sentence where they do not sum to 100."""
    weighted = [version for version in versions if not version.get("shadow", False)]
    default = 100 if len(weighted) == 1 else 0
    weights = {version["name"]: as_int(version.get("weight"), default) for version in weighted}
    if sum(weights.values()) != 100 or min(weights.values()) < 0:
        raise ValueError(
            f"{where}.versions: weights do not sum to 100: got {', '.join(map(str, weights.values()))}, "
            "allowed whole numbers from 0 with the sum 100; change the weights."
        )
    return [weights.get(version["name"], 0) for version in versions]


def _options(where: str, args: Mapping[str, Any]) -> Mapping[str, Options]:
    """What each version says about its server; raises `ValueError` with one sentence where it does not fit."""
    options = {}
    for version in args["versions"]:
        found = replace(
            server_options(version),
            feedback=bool(args.get("feedback", False)),
            feedback_outcomes=tuple(args.get("feedback_outcomes", ())),
            docs=bool(args.get("docs", False)),
        )
        refuse(f"{where}.versions {version['name']}", version_misfits(found))
        options[version["name"]] = found
    refuse(where, model_misfits(options))
    return options


def _path_prefix(where: str, prefix: str, host: str | None) -> str:
    if not prefix.startswith("/") or (prefix != "/" and prefix.endswith("/")) or "//" in prefix:
        raise ValueError(
            f"{where}.path_prefix: not a path: got {prefix!r}, allowed '/' or '/NAME' without a "
            "trailing '/'; correct it."
        )
    if prefix == "/" and host is None:
        raise ValueError(
            f"{where}.path_prefix: takes every model's paths: got '/', allowed '/' only together with host; set host."
        )
    return "" if prefix == "/" else prefix
