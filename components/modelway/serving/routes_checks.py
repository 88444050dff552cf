"""What a model may say about its routes: every field acts or is refused. Nothing here needs Pulumi."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelway.gateway.policy import ASSIGNMENT_HEADER, CLIENT_HEADER, OWN_CLASS, Policy, Sticky
from modelway.serving.runtime_checks import Misfit
from modelway.serving.runtimes import Runtime

VERSION_HEADER = "x-model-version"
MAX_VERSIONS = 8
"""Half of the backends that the Gateway API allows in one rule, and more than anyone compares at once."""
MAX_ALIASES = 8
RESERVED_NAMES = ("docs", "experiment", "feedback", "judge", "models", "predict", "split", "unknown")
"""What no version and no alias may be called: path segments that mean something else below the model's prefix, and the
last parts of the names of our own objects."""
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}")
_COOKIE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_NO_USER = {
    "authorization": "it is new with every token",
    "cookie": "it is all cookies in one, and cookie names one of them",
    "host": "it is the same for everyone",
    "x-request-id": "it is new with every request",
    VERSION_HEADER: "it pins a version",
    CLIENT_HEADER: "the gateway sets it after the version is chosen",
    ASSIGNMENT_HEADER: "the gateway sets it",
}
"""Headers that name no user to the gateway, with the reason."""


INGRESS_LACKS = ("aliases", "auth", "cors", "docs", "experiment", "limits", "slo", "source_ranges", "sticky")
"""What a model with a plain Ingress cannot have: Ingress knows hosts and paths, and each controller its own more."""
INGRESS = "ingress"
"""Stands for the class of the Gateway where there is none."""


@dataclass(frozen=True)
class Share:
    """How much of the split a version gets."""

    name: str
    weight: int | None
    """Percent; None where nothing is said."""
    shadow: bool = False


def route_misfits(
    shares: Sequence[Share],
    aliases: Mapping[str, str],
    sticky: Sticky | None,
    policy: Policy,
    gateway_class: str = OWN_CLASS,
) -> list[Misfit]:
    """Everything wrong with the routes of one model, each version of which is right by itself."""
    problems = list(_aliases(aliases, [share.name for share in shares]))
    if all(share.shadow for share in shares):
        got, fix = f"shadows only, {', '.join(share.name for share in shares)}", "remove shadow of one"
        problems.append(Misfit("versions", "nobody answers", got, "one version that is no shadow", fix))
    if sticky is not None:
        problems += _sticky(sticky, policy, gateway_class)
    return problems


def ingress_misfits(args: Mapping[str, Any], shares: Sequence[Share], servers: Sequence[Runtime]) -> list[Misfit]:
    """Everything that `args` of `ModelService` say and a plain Ingress cannot; `servers` are those of its versions."""
    fix = "or remove ingress"
    problems = [
        Misfit(name, "two controllers for one route", f"{name} and ingress", "one of the two", f"remove {name}, {fix}")
        for name in ("gateway_class", "gateway_name")
        if name in args
    ]
    problems += [
        Misfit(name, "not known to Ingress", name, "only without ingress", f"remove {name}, {fix}")
        for name in INGRESS_LACKS
        if args.get(name)
    ]
    if (access := args.get("access", "public")) != "public":
        problems.append(Misfit("access", "not known to Ingress", access, "public", f"change access, {fix}"))
    if len(shares) > 1:
        got, change = ", ".join(share.name for share in shares), f"keep one version, {fix}"
        problems.append(Misfit("versions", "Ingress has one server for a path", got, "one version", change))
    if not args.get("host"):
        problems.append(Misfit("host", "missing with ingress", "nothing", "a host of its own", f"set host, {fix}"))
    prefix = args.get("path_prefix")
    if prefix != "/":
        got, change = "nothing" if prefix is None else repr(prefix), f"set path_prefix to '/', {fix}"
        problems.append(Misfit("path_prefix", "Ingress rewrites no path", got, "'/'", change))
    for path in {path for server in servers for path in server.paths if path.split and path.public != path.upstream}:
        got, change = f"{path.public} as {path.upstream}", f"let the server say {path.public}, {fix}"
        problems.append(Misfit("versions", "Ingress rewrites no path", got, "one path for both", change))
    return problems


def share_misfits(share: Share) -> list[Misfit]:
    """A shadow that would answer someone."""
    if not share.shadow or share.weight is None:
        return []
    got, fix = f"{share.weight}", "remove weight, or shadow"
    return [Misfit("weight", "set together with shadow", got, "one of the two", fix)]


def _aliases(aliases: Mapping[str, str], versions: Sequence[str]) -> Iterator[Misfit]:
    """Aliases of nothing, or with a name that is something else already."""
    if len(aliases) > MAX_ALIASES:
        yield Misfit("aliases", "too many", f"{len(aliases)}", f"at most {MAX_ALIASES}", "remove some")
    for alias, version in aliases.items():
        if alias in versions:
            yield Misfit("aliases", "is a version already", repr(alias), "a name of its own", "rename the alias")
        if version not in versions:
            got = f"{alias}: {version}"
            yield Misfit("aliases", "names no version", repr(got), ", ".join(versions), "name one of these")


def _sticky(sticky: Sticky, policy: Policy, gateway_class: str) -> Iterator[Misfit]:
    """Keys that name no user."""
    if (sticky.header is None) == (sticky.cookie is None):
        got = "nothing" if sticky.header is None else "header and cookie"
        yield Misfit("sticky", "not one key", got, "header or cookie", "set exactly one of them")
    if gateway_class != OWN_CLASS:
        what = f"not known to gateway class {gateway_class}"
        yield Misfit("sticky", what, "a key", f"only with class {OWN_CLASS}", "remove sticky")
    if sticky.cookie is not None and not _COOKIE.fullmatch(sticky.cookie):
        allowed = "letters, digits, '_', '.' and '-', at most 64"
        yield Misfit("sticky.cookie", "no name of a cookie", repr(sticky.cookie), allowed, "correct it")
    if sticky.header is not None:
        yield from _header(sticky.header, policy)


def _header(name: str, policy: Policy) -> Iterator[Misfit]:
    if not _HEADER.fullmatch(name):
        allowed = "letters, digits and '-', at most 64"
        yield Misfit("sticky.header", "no name of a header", repr(name), allowed, "correct it")
        return
    reasons = dict(_NO_USER)
    if policy.auth:
        reasons.setdefault(policy.auth.request_header, "the gateway takes it away, and keys are replaced")
    if reason := reasons.get(name.lower()):
        allowed = "a header that names the same user each time"
        yield Misfit("sticky.header", f"names no user, since {reason}", repr(name), allowed, "name another header")
