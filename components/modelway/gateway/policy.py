"""What the gateway lets through, as types. Nothing here needs Pulumi.

The files beside it compile it to one object each: `security`, `traffic` and `client_id` for a model, `client_traffic`
and `local_reply` for a Gateway.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

API_VERSION = "gateway.envoyproxy.io/v1alpha1"
OWN_CLASS = "modelway"
"""GatewayClass of our own Envoy Gateway; any other belongs to a controller that is there already."""
CLIENT_HEADER = "x-modelway-client"
"""Names the client to the server: set by the gateway, and removed from what clients send."""
ASSIGNMENT_HEADER = "x-modelway-assignment"
"""Tells the server whether weight or the client chose it: `split` or `pinned`, whatever the client says."""
KEY_HEADER = "x-api-key"
KEYS_SECRET = "modelway-api-keys"  # noqa: S105
"""Name of a Secret, not a secret."""
NOBODY = "nobody.0"
"""Its one entry that is nobody's. Envoy lets a route without keys fall back to those of the listener (`credentials` of
`ApiKeyAuthPerRoute`), and a listener that is replaced still has the key that was revoked last."""
ACCESS = ("public", "keyed", "internal")
ACCESS_LABEL = "modelway.dev/access"
"""Label of a model's routes that says who reaches it."""


class LimitsArgs(TypedDict):
    """Most that a model takes; what is left out is not limited."""

    requests_per_second: NotRequired[int]
    """Requests per second of each of the model's paths, over all proxies. It divides by the number of proxies, each of
    which counts alone. A second's requests may come at once."""
    requests_per_second_per_client: NotRequired[int]
    """The same of one client: of one client of keys or tokens, else of one address (IPv4 or IPv6)."""
    body_bytes: NotRequired[int]
    """Size of a request's body in bytes, 1 to 67108864, for runtime `modelway` to 1048576. The gateway then receives a
    body as a whole before it passes it on."""
    timeout_seconds: NotRequired[int]
    """Longest that an answer may take, in seconds: 1 to 30, for runtime `vllm` to 300, which are the defaults."""


class JwtArgs(TypedDict):
    """Whose tokens are good: signed by the issuer, for one of the audiences, not expired."""

    issuer: str
    """The claim `iss`."""
    audiences: list[str]
    """One of them has to be in the claim `aud`; 1 to 8."""
    jwks_url: NotRequired[str]
    """`https://…` of the issuer's public keys. One of `jwks_url` and `jwks` is needed."""
    jwks: NotRequired[str]
    """The issuer's public keys (RFC 7517) as JSON: `{"keys": […]}`."""
    client_claim: NotRequired[str]
    """Claim that names the client; a token without it is refused. Defaults to `sub`."""


class AuthArgs(TypedDict):
    """How the gateway knows a client."""

    method: NotRequired[str]
    """`api-key` (default): a header whose value is in a Secret; `jwt`: a token in `Authorization: Bearer …`."""
    header: NotRequired[str]
    """Header of the API key. Defaults to `x-api-key`. Refused for `jwt`."""
    keys_secret: NotRequired[str]
    """Name of the Secret in the model's namespace with a key under `CLIENT.1` and `CLIENT.2`, two of which are valid at
    once. Defaults to `modelway-api-keys`. Refused for `jwt`."""
    jwt: NotRequired[JwtArgs]
    """Which tokens are good. Refused for `api-key`."""


class CorsArgs(TypedDict):
    """Which web pages of other origins may ask, from the browser."""

    origins: list[str]
    """`https://HOST`, also `https://*.DOMAIN`, or `*` for every page; at least one."""
    methods: NotRequired[list[str]]
    """Defaults to GET and POST."""
    headers: NotRequired[list[str]]
    """Headers that scripts may send; the one with the key or token always is one. Defaults to `content-type`."""
    credentials: NotRequired[bool]
    """Whether browsers send cookies and the like. Defaults to false. Refused with origin `*`."""
    max_age_seconds: NotRequired[int]
    """How long browsers remember the answer, in seconds: 0 to 86400. Defaults to 600."""


class StickyArgs(TypedDict):
    """What names a user, who then meets the same version each time. Exactly one is set."""

    header: NotRequired[str]
    """Name of a header that clients send."""
    cookie: NotRequired[str]
    """Name of a cookie that clients send; the gateway makes none."""


@dataclass(frozen=True)
class Sticky:
    """`StickyArgs`."""

    header: str | None = None
    cookie: str | None = None


@dataclass(frozen=True)
class Limits:
    """`LimitsArgs`."""

    requests_per_second: int | None = None
    requests_per_second_per_client: int | None = None
    body_bytes: int | None = None
    timeout_seconds: int | None = None


@dataclass(frozen=True)
class Jwt:
    """`JwtArgs`."""

    issuer: str = ""
    audiences: tuple[str, ...] = ()
    jwks_url: str | None = None
    jwks: str | None = None
    client_claim: str = "sub"


@dataclass(frozen=True)
class Auth:
    """`AuthArgs`; what is not set is None where another field may forbid it."""

    method: str = "api-key"
    header: str | None = None
    keys_secret: str | None = None
    jwt: Jwt | None = None

    @property
    def request_header(self) -> str:
        """The header that a client sends, in lower case."""
        return "authorization" if self.jwt else (self.header or KEY_HEADER).lower()


@dataclass(frozen=True)
class Cors:
    """`CorsArgs`."""

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("GET", "POST")
    headers: tuple[str, ...] = ("content-type",)
    credentials: bool = False
    max_age_seconds: int = 600


@dataclass(frozen=True)
class Policy:
    """Who reaches a model, and how much of it."""

    access: str = "public"
    limits: Limits = field(default_factory=Limits)
    auth: Auth | None = None
    cors: Cors | None = None
    source_ranges: tuple[str, ...] = ()
    proxies: int = 1
    """Number of proxies that the limits are divided by."""


@dataclass(frozen=True)
class Connections:
    """Bounds of clients' connections to one proxy."""

    maximum: int = 1000
    idle_seconds: int = 300
    header_seconds: int = 10
    request_seconds: int = 60


def policy_of(args: Mapping[str, Any]) -> Policy:
    """The policy that the arguments of `ModelService` say; `policy_checks` says whether it fits."""
    auth, cors = args.get("auth"), args.get("cors")
    limits = {name: int(value) for name, value in args.get("limits", {}).items()}
    return Policy(
        access=args.get("access", "public"),
        limits=Limits(**limits),
        auth=None if auth is None else auth_of(auth),
        cors=None if cors is None else cors_of(cors),
        source_ranges=tuple(args.get("source_ranges", ())),
        proxies=int(args.get("proxies", 1)),
    )


def auth_of(args: Mapping[str, Any]) -> Auth:
    """`AuthArgs` as a value."""
    jwt = args.get("jwt")
    return Auth(**{**args, "jwt": None if jwt is None else Jwt(**_frozen(jwt))})


def cors_of(args: Mapping[str, Any]) -> Cors:
    """`CorsArgs` as a value."""
    known = _frozen(args)
    if "max_age_seconds" in known:
        known["max_age_seconds"] = int(known["max_age_seconds"])
    return Cors(**known)


def _frozen(args: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for name, value in args.items()
    }
