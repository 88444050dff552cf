"""Where spans go, as arguments and as values, and what is refused. Nothing here needs Pulumi."""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict
from urllib.parse import SplitResult, urlsplit

from modelway._egress import is_address, is_service
from modelway.serving.misfit import Misfit

MILLIONTHS = 1_000_000
"""Smallest share of requests that Envoy can record: one in so many
(https://www.envoyproxy.io/docs/envoy/latest/api-v3/type/v3/percent.proto)."""
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_PLACE = "the name or address of a host in lower case"


class GatewayTracesArgs(TypedDict):
    """The collector that gets the gateway's spans, and of how many requests."""

    host: str
    """Name or address of the collector."""
    sample_percent: float
    """Share of the requests that are recorded, 0 to 100, by their trace ids: what a client decided does not count. The
    caller's decision that servers follow is this one. Steps of 0.0001."""
    port: NotRequired[int]
    """Port that takes OTLP over gRPC, in plain text. Defaults to 4317."""
    egress_cidrs: NotRequired[list[str]]
    """Networks of the collector, for the NetworkPolicy. Defaults to the address or the namespace that `host` names.
    Needed where it names neither."""


class ServerTracesArgs(TypedDict):
    """The collector that gets the spans of a version's server: one of each request whose `traceparent` is sampled."""

    url: str
    """`http://HOST:PORT` of a collector that takes OTLP over HTTP."""
    egress_cidrs: NotRequired[list[str]]
    """Networks of the collector, for the NetworkPolicy. Defaults to the address or the namespace that `url` names.
    Needed where it names neither."""


@dataclass(frozen=True)
class GatewayTraces:
    """`GatewayTracesArgs`."""

    host: str
    sample_percent: float
    port: int = 4317
    egress_cidrs: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServerTraces:
    """`ServerTracesArgs`."""

    url: str
    egress_cidrs: tuple[str, ...] = ()


def gateway_traces_of(args: Mapping[str, Any] | None) -> GatewayTraces | None:
    """The value of arguments that `gateway_traces_misfits` finds nothing wrong with."""
    if args is None:
        return None
    port, cidrs = int(args.get("port", GatewayTraces.port)), tuple(args.get("egress_cidrs", ()))
    return GatewayTraces(args["host"], float(args["sample_percent"]), port, cidrs)


def server_traces_of(args: Mapping[str, Any] | None) -> ServerTraces | None:
    """The value of arguments that `server_traces_misfits` finds nothing wrong with."""
    return None if args is None else ServerTraces(args["url"], tuple(args.get("egress_cidrs", ())))


def gateway_traces_misfits(args: Mapping[str, Any]) -> Iterator[Misfit]:
    """What is wrong with `GatewayTracesArgs`."""
    host, percent, port = args["host"], args["sample_percent"], args.get("port", GatewayTraces.port)
    if not _is_host(host):
        yield Misfit("host", "no host", repr(host), _PLACE, "correct it")
    if not 0 <= percent <= 100:
        yield Misfit("sample_percent", "out of range", f"{percent:g}", "0 to 100", "change it")
    elif 0 < percent < 100 / MILLIONTHS:
        yield Misfit(
            "sample_percent", "rounds to none", f"{percent:g}", f"0, or {100 / MILLIONTHS:.4f} to 100", "raise it"
        )
    if not 1 <= port <= 65535:
        yield Misfit("port", "out of range", f"{port:g}", "1 to 65535", "change it")
    yield from _networks(host, args.get("egress_cidrs") or ())


def server_traces_misfits(args: Mapping[str, Any]) -> Iterator[Misfit]:
    """What is wrong with `ServerTracesArgs`."""
    url, allowed = args["url"], "http://HOST:PORT of a collector"
    parts = _parts(url)
    if parts is None:
        yield Misfit("url", "no URL", repr(url), allowed, "correct it")
    elif parts.username is not None:
        yield Misfit("url", "has a password in it", "USER:PASSWORD@", allowed, "use a collector that asks for none")
    elif parts.scheme == "https":
        yield Misfit("url", "spans are sent in plain text", repr(url), allowed, "use a collector inside the network")
    elif parts.scheme != "http" or not _is_host(parts.hostname or ""):
        yield Misfit("url", "no URL", repr(url), allowed, "correct it")
    elif parts.port is None:
        yield Misfit("url", "has no port", repr(url), allowed, "add the port, commonly 4318")
    elif parts.path or parts.query or parts.fragment:
        yield Misfit("url", "has a path", repr(url), allowed, "leave the path out, which is /v1/traces")
    else:
        yield from _networks(parts.hostname or "", args.get("egress_cidrs") or ())


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        known = parts.port != 0
    except ValueError:
        return None
    return parts if known else None


def _is_host(host: str) -> bool:
    return is_address(host) or (len(host) <= 253 and _NAME.fullmatch(host) is not None)


def _networks(host: str, cidrs: Iterable[str]) -> Iterator[Misfit]:
    """Egress to anywhere would let a server send what it likes to whom it likes."""
    allowed, listed = "networks such as 203.0.113.0/24", list(cidrs)
    if not listed and _is_host(host) and not is_address(host) and not is_service(host):
        what, got = "missing for a name that is no Service of the cluster", repr(host)
        yield Misfit(
            "egress_cidrs", what, got, allowed, "set egress_cidrs, or name SERVICE.NAMESPACE.svc or an address"
        )
    for cidr in listed:
        try:
            ipaddress.ip_network(cidr)
        except ValueError:
            yield Misfit("egress_cidrs", "not a network", repr(cidr), allowed, "correct it")
