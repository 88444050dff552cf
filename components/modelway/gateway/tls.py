"""TLS of one Gateway: what may be said. Nothing here needs Pulumi, which the command line would pay for in seconds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

HTTPS_PORT = 443
TLS_NODE_PORT = 30443
"""Port of every node that reaches the gateway's HTTPS, unless it is told another."""
DURATION_HOURS = 90 * 24
RENEW_BEFORE_HOURS = 30 * 24
HSTS_SECONDS = 365 * 24 * 3600
"""A year, the least that browsers' preload lists take (https://hstspreload.org)."""


class AcmeArgs(TypedDict):
    """Account at an ACME server, which proves the hosts by HTTP on port 80 of each."""

    email: str
    """Where the server writes before certificates expire."""
    server: NotRequired[str]
    """Directory of the server, an https URL. Defaults to that of Let's Encrypt."""


class CertManagerImagesArgs(TypedDict):
    """Images of cert-manager by digest."""

    controller: str
    """Image of the controller."""
    webhook: str
    """Image of the webhook."""
    cainjector: str
    """Image of the CA injector."""
    startupapicheck: str
    """Image of the check that ends once the webhook answers."""
    acmesolver: NotRequired[str]
    """Image of the pods that answer ACME's challenges. Defaults to the chart's own."""


class TlsArgs(TypedDict):
    """How clients reach the gateway over HTTPS; plain HTTP then only redirects."""

    hosts: list[str]
    """DNS names and IP addresses that the certificate fits, 1 to 20; `*.example.com` is any name one level below."""
    issuer: NotRequired[str]
    """Where the certificate comes from: `ca` (an authority of its own, made by cert-manager), `acme`, or `secret`.
    Defaults to `ca`."""
    secret: NotRequired[str]
    """Name of a Secret of type `kubernetes.io/tls` in the gateway's namespace. Issuer `secret` needs it; refused for
    the others."""
    acme: NotRequired[AcmeArgs]
    """Issuer `acme` needs it; refused for the others."""
    minimum_version: NotRequired[str]
    """Oldest TLS that is spoken: `1.2` (default) or `1.3`."""
    hsts_seconds: NotRequired[int]
    """How long browsers remember to use HTTPS only, 0 to 63072000; 0 says nothing to them. Defaults to a year."""
    port: NotRequired[int]
    """Port under which clients reach HTTPS. Defaults to 443."""
    node_port: NotRequired[int]
    """Port on every node that reaches HTTPS, 30000 to 32767. Defaults to 30443."""
    duration_hours: NotRequired[int]
    """How long a certificate of issuer `ca` holds, 1 to 8760. Defaults to 2160 (90 days)."""
    renew_before_hours: NotRequired[int]
    """How long before its end it is renewed, less than `duration_hours`. Defaults to 720 (30 days), or a third of a
    shorter duration."""
    install_cert_manager: NotRequired[bool]
    """Whether to install cert-manager with its CRDs for the issuers `ca` and `acme`. Defaults to true; false where the
    cluster has it."""
    cert_manager_chart: NotRequired[str]
    """cert-manager's Helm chart: an OCI reference or a file. Defaults to the official chart at the pinned version."""
    cert_manager_images: NotRequired[CertManagerImagesArgs]
    """Images of cert-manager. Default to the chart's own."""


@dataclass(frozen=True)
class Tls:
    """`TlsArgs` without what concerns the installation of cert-manager."""

    hosts: tuple[str, ...]
    issuer: str = "ca"
    secret: str | None = None
    acme: AcmeArgs | None = None
    minimum_version: str = "1.2"
    hsts_seconds: int = HSTS_SECONDS
    port: int = HTTPS_PORT
    node_port: int = TLS_NODE_PORT
    duration_hours: int = DURATION_HOURS
    renew_before_hours: int = RENEW_BEFORE_HOURS

    def secret_name(self, gateway: str) -> str:
        """Name of the Secret with the certificate."""
        return self.secret or f"{gateway}-tls"


def tls_of(args: Mapping[str, Any]) -> Tls:
    """The value of `TlsArgs`; `tls_checks` says whether it holds."""
    fields = {key: value for key, value in args.items() if key in Tls.__dataclass_fields__}
    for key in ("hsts_seconds", "port", "node_port", "duration_hours", "renew_before_hours"):
        if key in fields:
            fields[key] = int(fields[key])
    if "renew_before_hours" not in fields:
        duration = fields.get("duration_hours", DURATION_HOURS)
        fields["renew_before_hours"] = min(RENEW_BEFORE_HOURS, duration // 3)
    return Tls(**{**fields, "hosts": tuple(fields["hosts"])})
