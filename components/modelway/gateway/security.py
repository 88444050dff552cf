"""SecurityPolicy of one model: who is let in, from where, and which web pages may ask."""

from typing import Any

from modelway._common import Manifest
from modelway.gateway.policy import CLIENT_HEADER, KEYS_SECRET, Auth, Cors, Jwt, Policy
from modelway.gateway.policy_spec import PolicySpec

PROVIDER = "modelway"
"""Name of the one JWT provider of a policy."""
EXPOSED = ("x-request-id", "x-modelway-version", "retry-after")
"""Headers of answers that scripts may read."""


def security_policy(spec: PolicySpec) -> Manifest | None:
    """The SecurityPolicy, or none where everyone is let in from everywhere."""
    policy = spec.policy
    parts: dict[str, Any] = {}
    if policy.cors:
        parts["cors"] = _cors(policy.cors, policy.auth)
    if policy.auth and policy.auth.jwt:
        parts["jwt"] = {"providers": [_provider(policy.auth.jwt)]}
    elif policy.auth:
        parts["apiKeyAuth"] = _api_keys(policy.auth)
    if authorization := _authorization(policy):
        parts["authorization"] = authorization
    return spec.manifest("SecurityPolicy", parts) if parts else None


def _api_keys(auth: Auth) -> dict[str, Any]:
    return {
        "credentialRefs": [{"group": "", "kind": "Secret", "name": auth.keys_secret or KEYS_SECRET}],
        "extractFrom": [{"headers": [auth.request_header]}],
        "forwardClientIDHeader": CLIENT_HEADER,
        "sanitize": True,
    }


def _provider(jwt: Jwt) -> dict[str, Any]:
    keys: dict[str, Any] = (
        {"remoteJWKS": {"uri": jwt.jwks_url}} if jwt.jwks_url else {"localJWKS": {"type": "Inline", "inline": jwt.jwks}}
    )
    return {
        "name": PROVIDER,
        "issuer": jwt.issuer,
        "audiences": list(jwt.audiences),
        **keys,
        "claimToHeaders": [{"header": CLIENT_HEADER, "claim": jwt.client_claim}],
        # Unless it is said, a token in the URL is good too, and URLs are logged.
        "extractFrom": {"headers": [{"name": "Authorization", "valuePrefix": "Bearer "}]},
    }


def _authorization(policy: Policy) -> dict[str, Any] | None:
    rule: dict[str, Any] = {}
    if policy.source_ranges:
        rule["principal"] = {"clientCIDRs": list(policy.source_ranges)}
    if policy.auth and policy.auth.jwt:
        # A token without the claim makes no header: nobody to count, and no limit would hold.
        rule["cel"] = f"'{CLIENT_HEADER}' in request.headers"
    return {"defaultAction": "Deny", "rules": [{"name": "allowed", "action": "Allow", **rule}]} if rule else None


def _cors(cors: Cors, auth: Auth | None) -> dict[str, Any]:
    needed = [auth.request_header] if auth else []
    return {
        "allowOrigins": list(cors.origins),
        "allowMethods": list(cors.methods),
        "allowHeaders": [*cors.headers, *(name for name in needed if name not in cors.headers)],
        "exposeHeaders": list(EXPOSED),
        "allowCredentials": cors.credentials,
        "maxAge": f"{cors.max_age_seconds}s",
    }
