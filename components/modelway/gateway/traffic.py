"""BackendTrafficPolicy of one model: how much of it clients get, and what keeps a user on one version."""

from typing import Any

from modelway._common import Manifest
from modelway.gateway.policy import CLIENT_HEADER, Policy, Sticky
from modelway.gateway.policy_spec import PolicySpec

KEEP_ALIVE_SECONDS = 75
"""How long servers keep an idle connection, unless it is said."""
UPSTREAM_IDLE_SECONDS = 30
"""Two fifths of the servers' keep-alive: else the proxy reuses connections that the server just closed."""


def backend_traffic_policy(
    spec: PolicySpec, sticky: Sticky | None = None, keep_alive_seconds: int = KEEP_ALIVE_SECONDS
) -> Manifest | None:
    """The BackendTrafficPolicy, or none where the gateway's own is enough.

    `keep_alive_seconds`: how long all servers of the model keep an idle connection.
    """
    limits = spec.policy.limits
    parts: dict[str, Any] = {}
    if sticky is not None:
        parts["loadBalancer"] = {"type": "ConsistentHash", "consistentHash": _hashed(sticky)}
    if rules := _rate_limits(spec.policy):
        parts["rateLimit"] = {"local": {"rules": rules}}
    if limits.body_bytes is not None:
        parts["requestBuffer"] = {"limit": str(limits.body_bytes)}
    idle = min(UPSTREAM_IDLE_SECONDS, keep_alive_seconds * 2 // 5)
    if not parts and idle == UPSTREAM_IDLE_SECONDS:
        return None
    # A policy of a route replaces the gateway's (Envoy Gateway 1.9.1, `mergeType` unset), so it says this again.
    timeout = {"http": {"connectionIdleTimeout": f"{idle}s"}}
    return spec.manifest("BackendTrafficPolicy", {"timeout": timeout, **parts})


def _hashed(sticky: Sticky) -> dict[str, Any]:
    if sticky.cookie is not None:
        # With a lifetime Envoy would make a cookie for whoever has none: an echo that other proxies do not know.
        return {"type": "Cookie", "cookie": {"name": sticky.cookie}}
    return {"type": "Headers", "headers": [{"name": sticky.header}]}


def _rate_limits(policy: Policy) -> list[dict[str, Any]]:
    """A rule without a selector would count only what no other rule counts, so the overall one selects every path."""
    rules = []
    if (each := policy.limits.requests_per_second_per_client) is not None:
        rules += [_rule(selector, each // policy.proxies) for selector in _clients(policy)]
    if (overall := policy.limits.requests_per_second) is not None:
        rules.append(_rule({"path": {"type": "PathPrefix", "value": "/"}}, overall // policy.proxies))
    return rules


def _clients(policy: Policy) -> list[dict[str, Any]]:
    if policy.auth:
        return [{"headers": [{"type": "Distinct", "name": CLIENT_HEADER}]}]
    return [{"sourceCIDR": {"type": "Distinct", "value": cidr}} for cidr in ("0.0.0.0/0", "::/0")]


def _rule(selector: dict[str, Any], requests: int) -> dict[str, Any]:
    return {"clientSelectors": [selector], "limit": {"requests": requests, "unit": "Second"}}
