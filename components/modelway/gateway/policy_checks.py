"""What a policy may say: every field acts or is refused. Nothing here needs Pulumi."""

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any
from urllib.parse import urlsplit

from modelway.gateway.policy import ACCESS, CLIENT_HEADER, OWN_CLASS, Auth, Connections, Cors, Jwt, Limits, Policy
from modelway.serving.runtime_checks import Misfit
from modelway.serving.runtimes import Runtime

MAXIMUM_REQUESTS = 1_000_000
MAXIMUM_BODY_BYTES = 64 * 2**20
"""A proxy holds the bodies of all running requests and has 512 MiB."""
SERVER_BODY_BYTES = 2**20
"""Largest body that our own server takes (`max_body_bytes` in `images/model-server/modelway_server/settings.py`)."""
MAXIMUM_AUDIENCES = 8
"""As many as Envoy Gateway takes (`JWTProvider.Audiences`, 1.9.1)."""
MAXIMUM_SECONDS = 3600
MAXIMUM_CONNECTIONS = 50_000
"""Above it Envoy Gateway's own bound on all connections of a proxy holds (`bootstrap.yaml.tpl`, 1.9.1)."""
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
ENVOY_GATEWAY_ONLY = (
    "replicas",
    "node_port",
    "load_balancer",
    "chart",
    "gateway_image",
    "proxy_image",
    "connections",
    "trusted_proxies",
    "client_addresses",
    "jwks_ports",
    "internal",
    "traces",
)
"""Arguments of `Gateway` that no standard object of the Gateway API says."""
PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
"""Parameters of a JWK that only its owner may know (RFC 7518, 6.2.2, 6.3.2 and 6.4)."""
_RESERVED = frozenset({CLIENT_HEADER, "x-modelway-assignment", "x-model-version", "x-request-id", "host"})
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_CLAIM = re.compile(r"[A-Za-z0-9_:/-]+(\.[A-Za-z0-9_:/-]+)*")
_ORIGIN = re.compile(r"https?://(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?")


def policy_misfits(policy: Policy, servers: Sequence[Runtime]) -> list[Misfit]:
    """Everything wrong with one model's policy; `servers` are those of its versions."""
    if policy.access not in ACCESS:
        return [Misfit("access", "unknown value", repr(policy.access), ", ".join(ACCESS), "correct it")]
    problems = list(_access(policy))
    problems += auth_misfits(policy.auth) if policy.auth else []
    problems += cors_misfits(policy.cors) if policy.cors else []
    return [*problems, *range_misfits(policy.source_ranges), *limit_misfits(policy.limits, policy.proxies, servers)]


def _access(policy: Policy) -> Iterator[Misfit]:
    if policy.access == "keyed" and policy.auth is None:
        yield Misfit("auth", "missing for access keyed", "nothing", "api-key or jwt", "set auth, or change access")
    if policy.access != "keyed" and policy.auth is not None:
        got = f"auth with access {policy.access}"
        yield Misfit("auth", "not used", got, "only with access keyed", "remove auth, or set access to keyed")
    if policy.access == "internal":
        for name, value in (("cors", policy.cors), ("source_ranges", policy.source_ranges)):
            if value:
                allowed = "only with access public or keyed"
                yield Misfit(name, "not used", f"{name} with access internal", allowed, f"remove {name}")


def auth_misfits(auth: Auth) -> list[Misfit]:
    """Everything wrong with how clients are known."""
    if auth.method not in ("api-key", "jwt"):
        return [Misfit("auth.method", "unknown value", repr(auth.method), "api-key, jwt", "correct it")]
    if auth.method == "jwt":
        problems = [
            Misfit(f"auth.{name}", "not used with method jwt", repr(value), "only with api-key", f"remove {name}")
            for name, value in (("header", auth.header), ("keys_secret", auth.keys_secret))
            if value is not None
        ]
        if auth.jwt is None:
            return [*problems, Misfit("auth.jwt", "missing", "nothing", "issuer, audiences and keys", "set jwt")]
        return [*problems, *_jwt(auth.jwt)]
    problems = []
    if auth.jwt is not None:
        problems.append(Misfit("auth.jwt", "not used with method api-key", "jwt", "only with jwt", "set method to jwt"))
    if auth.header is not None:
        problems += _header("auth.header", auth.header)
    return problems


def _header(field: str, name: str) -> list[Misfit]:
    if not _HEADER.fullmatch(name):
        return [Misfit(field, "no name of a header", repr(name), "letters, digits and '-', at most 64", "correct it")]
    if name.lower() in _RESERVED:
        return [Misfit(field, "has a meaning already", repr(name), "any other header", "choose another name")]
    return []


def _jwt(jwt: Jwt) -> Iterator[Misfit]:
    if not jwt.issuer:
        yield Misfit("auth.jwt.issuer", "missing", "nothing", "the issuer's name, claim iss", "set issuer")
    if not 1 <= len(jwt.audiences) <= MAXIMUM_AUDIENCES or not all(jwt.audiences):
        got, allowed = f"{len(jwt.audiences)} names", f"1 to {MAXIMUM_AUDIENCES} names"
        yield Misfit("auth.jwt.audiences", "wrong number or empty", got, allowed, "name for whom tokens are made")
    if not _CLAIM.fullmatch(jwt.client_claim):
        allowed = "a name, or names joined by '.'"
        yield Misfit("auth.jwt.client_claim", "no name of a claim", repr(jwt.client_claim), allowed, "correct it")
    if (jwt.jwks_url is None) == (jwt.jwks is None):
        got = "neither" if jwt.jwks is None else "jwks_url and jwks"
        yield Misfit("auth.jwt.jwks_url", "not one source of keys", got, "jwks_url or jwks", "set exactly one of them")
    if jwt.jwks_url is not None:
        yield from _jwks_url(jwt.jwks_url)
    if jwt.jwks is not None:
        yield from _jwks(jwt.jwks)


def _jwks_url(url: str) -> Iterator[Misfit]:
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        good = False
    if not good or len(url) > 253:
        # What comes before '@' would be a password.
        got = repr(url) if "@" not in url else "an address with a password"
        allowed = "https://HOST/PATH of at most 253 characters"
        yield Misfit("auth.jwt.jwks_url", "no safe address of keys", got, allowed, "write the issuer's https address")


def _jwks(text: str) -> Iterator[Misfit]:
    field, allowed = "auth.jwt.jwks", 'JSON as {"keys": [{"kty": …}]} with public keys only'
    try:
        keys = json.loads(text)["keys"]
        found = [(key["kty"], set(key)) for key in keys]
    except (ValueError, TypeError, KeyError):
        found = []
    if not found:
        yield Misfit(field, "no set of keys", f"{len(text)} characters", allowed, "copy what the issuer publishes")
    if private := sorted({name for _, names in found for name in names & PRIVATE}):
        got = f"parameter {', '.join(private)}"
        yield Misfit(field, "a secret in plain config", got, allowed, "write the public key and replace the leaked one")


def cors_misfits(cors: Cors) -> list[Misfit]:
    """Everything wrong with which pages may ask."""
    problems = []
    allowed = "https://HOST, https://*.DOMAIN or '*'"
    if not cors.origins:
        problems.append(Misfit("cors.origins", "missing", "nothing", allowed, "name the origins, or remove cors"))
    problems += [
        Misfit("cors.origins", "no origin", repr(origin), allowed, "write scheme and host only")
        for origin in cors.origins
        if origin != "*" and not _ORIGIN.fullmatch(origin)
    ]
    if cors.credentials and "*" in cors.origins:
        problems.append(
            Misfit(
                "cors.credentials", "every page may act for its visitor", "origin '*'", "origins by name", "name them"
            )
        )
    for method in cors.methods:
        if method not in METHODS:
            problems.append(Misfit("cors.methods", "unknown method", repr(method), ", ".join(METHODS), "correct it"))
    if not cors.methods:
        problems.append(Misfit("cors.methods", "missing", "nothing", ", ".join(METHODS), "name the methods"))
    for name in cors.headers:
        if not _HEADER.fullmatch(name):
            allowed = "letters, digits and '-'"
            problems.append(Misfit("cors.headers", "no name of a header", repr(name), allowed, "correct it"))
    return [*problems, *_between("cors.max_age_seconds", cors.max_age_seconds, 0, 86400)]


def range_misfits(ranges: Sequence[str]) -> list[Misfit]:
    """Networks that are none."""
    problems = []
    for each in ranges:
        try:
            good = "/" in each and bool(ipaddress.ip_network(each))
        except ValueError:
            good = False
        if not good:
            allowed = "a network as 10.0.0.0/8 or 2001:db8::/32, no bits beyond its length"
            problems.append(Misfit("source_ranges", "no network", repr(each), allowed, "correct it"))
    return problems


def limit_misfits(limits: Limits, proxies: int, servers: Sequence[Runtime] = ()) -> list[Misfit]:
    """Limits that cannot hold; `servers` are those of the model's versions."""
    problems = []
    for name in ("requests_per_second", "requests_per_second_per_client"):
        value = getattr(limits, name)
        if value is None:
            continue
        wrong = _between(f"limits.{name}", value, 1, MAXIMUM_REQUESTS)
        if not wrong and value % proxies:
            allowed = f"a multiple of {proxies}, the number of proxies, each of which counts alone"
            wrong = [Misfit(f"limits.{name}", "cannot be divided", str(value), allowed, "change it or replicas")]
        problems += wrong
    each, overall = limits.requests_per_second_per_client, limits.requests_per_second
    if each is not None and overall is not None and each > overall:
        got, allowed = f"{each} of {overall}", "at most requests_per_second"
        field = "limits.requests_per_second_per_client"
        problems.append(Misfit(field, "never reached", got, allowed, "lower it or remove it"))
    return [*problems, *_server_limits(limits, servers)]


def _server_limits(limits: Limits, servers: Sequence[Runtime]) -> Iterator[Misfit]:
    own = any(server.name == "modelway" for server in servers)
    if limits.body_bytes is not None:
        yield from _between("limits.body_bytes", limits.body_bytes, 1, SERVER_BODY_BYTES if own else MAXIMUM_BODY_BYTES)
    if limits.timeout_seconds is not None:
        # A pod that leaves lives as long as its longest request, and no longer.
        most = min((server.request_timeout_seconds for server in servers), default=MAXIMUM_SECONDS)
        yield from _between("limits.timeout_seconds", limits.timeout_seconds, 1, most)


def connection_misfits(connections: Connections, trusted_proxies: int) -> list[Misfit]:
    """Bounds of connections that cannot hold."""
    problems = [
        problem
        for each in fields(connections)
        for problem in _between(
            f"connections.{each.name}",
            getattr(connections, each.name),
            1,
            MAXIMUM_CONNECTIONS if each.name == "maximum" else MAXIMUM_SECONDS,
        )
    ]
    if not problems and connections.request_seconds < connections.header_seconds:
        got, allowed = f"{connections.request_seconds}", f"at least header_seconds, {connections.header_seconds}"
        problems.append(
            Misfit(
                "connections.request_seconds", "ends before the headers", got, allowed, "raise it or lower the other"
            )
        )
    return [*problems, *_between("trusted_proxies", trusted_proxies, 0, 10)]


def foreign_misfits(args: Mapping[str, Any]) -> list[Misfit]:
    """Arguments of `Gateway` that a GatewayClass of another controller would not see."""
    name = args.get("class_name", OWN_CLASS)
    if name == OWN_CLASS:
        return []
    return [
        Misfit(field, f"not known to class {name}", field, "only with class modelway", f"remove {field} or class_name")
        for field in ENVOY_GATEWAY_ONLY
        if field in args
    ]


def _between(field: str, value: int, least: int, most: int) -> list[Misfit]:
    return (
        [] if least <= value <= most else [Misfit(field, "out of range", str(value), f"{least} to {most}", "change it")]
    )
