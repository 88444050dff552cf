"""`modelway:gateway` as types: how the gateway is reached, and what it lets through."""

from typing import Annotated

from pydantic import Field

from infra.config_section import Section


class LimitSettings(Section):
    """Most that a model takes; `modelway.gateway.policy_checks` says what fits. What is left out is not limited."""

    requests_per_second: int | None = None
    """Of each of the model's paths, over all proxies."""
    requests_per_second_per_client: int | None = None
    """The same of one client: of a key or token, or of an address where the model is public."""
    body_bytes: int | None = None
    timeout_seconds: int | None = None
    """Longest that an answer may take."""


class JwtSettings(Section):
    """Whose tokens are good: `Authorization: Bearer …`."""

    issuer: str = ""
    audiences: list[str] = Field(default_factory=list)
    jwks_url: str | None = None
    """Where the issuer publishes its public keys."""
    jwks: str | None = None
    """The public keys themselves, as JSON."""
    client_claim: str = "sub"
    """Claim that names the client."""


class AuthSettings(Section):
    """How a `keyed` model knows its clients."""

    method: str = "api-key"
    """`api-key` or `jwt`."""
    header: str | None = None
    """Header of the API key; `x-api-key` unless set."""
    jwt: JwtSettings | None = None


class CorsSettings(Section):
    """Which web pages of other origins may ask, from the browser."""

    origins: list[str] = Field(default_factory=list)
    methods: list[str] = Field(default_factory=lambda: ["GET", "POST"])
    headers: list[str] = Field(default_factory=lambda: ["content-type"])
    """Headers that scripts may send; the header of the key or token is always one of them."""
    credentials: bool = False
    """Whether browsers send cookies and the like."""
    max_age_seconds: int = 600
    """How long browsers remember the answer."""


class ConnectionSettings(Section):
    """What one proxy takes from clients before it knows who they are."""

    maximum: int = 1000
    """Open connections of one proxy."""
    idle_seconds: int = 300
    """Longest that a connection without a request stays open."""
    header_seconds: int = 10
    """Longest that the headers of a request may take."""
    request_seconds: int = 60
    """Longest that a whole request, with its body, may take to arrive."""


class AcmeSettings(Section):
    """Account at an ACME server."""

    email: str = ""
    server: str | None = None
    """Directory of the server; Let's Encrypt unless set."""


class TlsSettings(Section):
    """HTTPS for clients; plain HTTP then only redirects. `modelway.gateway.tls_checks` says what fits."""

    hosts: list[str] = Field(default_factory=list)
    """DNS names and IP addresses that the certificate fits."""
    issuer: str | None = None
    """`ca`, `acme` or `secret`; unless set `ca`, but production has to say it."""
    secret: str | None = None
    """For issuer secret: a Secret of type kubernetes.io/tls in the gateway's namespace."""
    acme: AcmeSettings | None = None
    minimum_version: str | None = None
    """`1.2` (unless set) or `1.3`."""
    hsts_seconds: int | None = None
    """How long browsers remember to use HTTPS only: a year unless set; 0 says nothing to them."""
    port: int | None = None
    """Port that clients use: 443 unless set; local grounds have their own."""
    duration_hours: int | None = None
    """How long a certificate of issuer ca holds: 90 days unless set."""
    renew_before_hours: int | None = None
    """How long before its end it is renewed: 30 days unless set."""
    install_cert_manager: bool | None = None
    """Whether the stack brings cert-manager for ca and acme; true unless set."""
    cert_manager_chart: str | None = None


class GatewaySettings(Section):
    """`modelway:gateway`."""

    address: str | None = None
    """Host and port that clients use; the local grounds know theirs."""
    replicas: Annotated[int, Field(ge=1, le=100)] = 1
    install_crds: bool = True
    chart: str | None = None
    class_name: str = "modelway"
    """GatewayClass. Any other has to be there with its controller: Envoy Gateway is then not installed."""
    auth: AuthSettings | None = None
    limits: LimitSettings = LimitSettings()
    """Limits of every model that does not set its own."""
    source_ranges: list[str] = Field(default_factory=list)
    """Networks, as CIDR, that may reach public and keyed models; empty: any."""
    trusted_proxies: int = 0
    """How many proxies before the gateway append to `X-Forwarded-For`."""
    cors: CorsSettings | None = None
    connections: ConnectionSettings = ConnectionSettings()
    tls: TlsSettings | None = None
    """Plain HTTP where it is left out, which production refuses."""
