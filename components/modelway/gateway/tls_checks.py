"""What TLS may say: every field acts or is refused. Nothing here needs Pulumi."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from modelway.gateway.hosts import covers, ip_addresses, is_host
from modelway.gateway.tls import Tls, tls_of
from modelway.serving.runtime_checks import Misfit

ISSUERS = ("ca", "acme", "secret")
VERSIONS = ("1.2", "1.3")
MAXIMUM_HOSTS = 20
MAXIMUM_HSTS_SECONDS = 2 * 365 * 24 * 3600
MAXIMUM_DURATION_HOURS = 365 * 24
"""Chrome and Apple refuse longer ones of public authorities; one's own need not be worse."""
_PER_ISSUER = {
    "secret": ("secret",),
    "acme": ("acme",),
    "duration_hours": ("ca",),
    "renew_before_hours": ("ca",),
    "install_cert_manager": ("ca", "acme"),
    "cert_manager_chart": ("ca", "acme"),
    "cert_manager_images": ("ca", "acme"),
}
"""Arguments that only some issuers have."""


def tls_misfits(args: Mapping[str, Any], foreign_class: str | None = None) -> list[Misfit]:
    """Everything wrong with `TlsArgs`; `foreign_class` is a GatewayClass that is not Envoy Gateway's."""
    issuer = args.get("issuer", "ca")
    problems = [*_hosts(args["hosts"], issuer)]
    if issuer not in ISSUERS:
        return [*problems, Misfit("tls.issuer", "unknown value", repr(issuer), ", ".join(ISSUERS), "correct it")]
    problems += _issuer(args, issuer)
    if foreign_class is not None:
        problems += [
            Misfit(
                f"tls.{field}", f"not known to class {foreign_class}", field, "only with class modelway", "remove it"
            )
            for field in ("minimum_version", "hsts_seconds", "node_port")
            if field in args
        ]
    return [*problems, *_values(tls_of({**args, "hosts": ()}), issuer)]


def _hosts(hosts: Sequence[str], issuer: str) -> Iterator[Misfit]:
    field = "tls.hosts"
    if not 1 <= len(hosts) <= MAXIMUM_HOSTS:
        yield Misfit(field, "wrong number", str(len(hosts)), f"1 to {MAXIMUM_HOSTS}", "name what clients ask for")
    for host in sorted({host for host in hosts if list(hosts).count(host) > 1}):
        yield Misfit(field, "named twice", repr(host), "each once", "remove one")
    for host in hosts:
        if not is_host(host):
            allowed = "an IP address, or a DNS name in lower case, perhaps with '*.' before its domain"
            yield Misfit(field, "no DNS name or IP address", repr(host), allowed, "correct it")
        elif issuer == "acme" and (host.startswith("*.") or ip_addresses([host])):
            yield Misfit(field, "cannot be proved by HTTP", repr(host), "DNS names without '*'", "name each host")


def _issuer(args: Mapping[str, Any], issuer: str) -> Iterator[Misfit]:
    for field, issuers in _PER_ISSUER.items():
        if field in args and issuer not in issuers:
            allowed = f"only with issuer {' or '.join(issuers)}"
            yield Misfit(f"tls.{field}", f"not used with issuer {issuer}", field, allowed, f"remove {field}")
    if issuer == "secret" and not args.get("secret"):
        allowed = "the name of a Secret of type kubernetes.io/tls"
        yield Misfit("tls.secret", "missing for issuer secret", "nothing", allowed, "set secret")
    if issuer == "acme":
        yield from _acme(args.get("acme") or {})


def _acme(acme: Mapping[str, Any]) -> Iterator[Misfit]:
    email = acme.get("email", "")
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email):
        got = repr(email) if email else "nothing"
        yield Misfit("tls.acme.email", "no e-mail address", got, "NAME@DOMAIN for issuer acme", "set email")
    server = acme.get("server")
    if server is not None:
        parts = urlsplit(server)
        if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
            got = repr(server) if "@" not in server else "an address with a password"
            yield Misfit("tls.acme.server", "no directory of an ACME server", got, "https://HOST/PATH", "correct it")


def _values(tls: Tls, issuer: str) -> Iterator[Misfit]:
    if tls.minimum_version not in VERSIONS:
        got = repr(tls.minimum_version)
        yield Misfit("tls.minimum_version", "unknown or unsafe version", got, " or ".join(VERSIONS), "correct it")
    yield from _between("tls.hsts_seconds", tls.hsts_seconds, 0, MAXIMUM_HSTS_SECONDS)
    yield from _between("tls.port", tls.port, 1, 65535)
    yield from _between("tls.node_port", tls.node_port, 30000, 32767)
    if issuer != "ca":
        return
    wrong = list(_between("tls.duration_hours", tls.duration_hours, 1, MAXIMUM_DURATION_HOURS))
    yield from wrong
    if not wrong and not 0 <= tls.renew_before_hours < tls.duration_hours:
        got, allowed = f"{tls.renew_before_hours} of {tls.duration_hours}", "less than duration_hours"
        yield Misfit("tls.renew_before_hours", "renewed before it is made", got, allowed, "lower it")


def host_misfits(hosts: Sequence[str], field: str, host: str) -> list[Misfit]:
    """A host that clients ask for and the certificate does not fit."""
    if covers(hosts, host):
        return []
    got = f"{host}, certificate for {', '.join(hosts)}"
    return [Misfit(field, "the certificate does not fit", got, "a host of tls.hosts", "add it to tls.hosts")]


def _between(field: str, value: int, least: int, most: int) -> Iterator[Misfit]:
    if not least <= value <= most:
        yield Misfit(field, "out of range", str(value), f"{least} to {most}", "change it")
