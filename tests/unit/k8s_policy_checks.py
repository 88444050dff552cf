"""What a model's policy becomes: who is let in, how much a client gets, how long connections live."""

from typing import Any

from tests.unit.k8s_checks import COMPONENT, NAME, Objects

API_GROUP = "gateway.networking.k8s.io"


def access(objects: Objects) -> None:
    """Who is let in to a model and how much of it a client gets, for all of its routes."""
    model = objects.name.partition("-")[2]
    for kind, spec in ACCESS.get(model, {}).items():
        target = {"group": API_GROUP, "kind": "HTTPRoute", "matchLabels": {NAME: model, COMPONENT: "route"}}
        found = objects.named(kind, model)
        assert found["metadata"]["namespace"] == "modelway-models"
        if kind == "EnvoyExtensionPolicy":
            (script,) = found["spec"]["lua"]
            assert (script["type"], set(script)) == ("Inline", {"type", "inline"})
            assert 'headers:replace("x-modelway-client"' in script["inline"]
        said = {key: value for key, value in found["spec"].items() if key != "lua"}
        assert said == {"targetSelectors": [target], **spec}
        assert ("lua" in found["spec"]) is (kind == "EnvoyExtensionPolicy")


def short_connections(objects: Objects) -> None:
    """The proxies forget a connection long before MLServer, or whoever hangs up first, ends it after 5 s."""
    if (model := HASTY.get(objects.name)) is not None:
        target = {"group": API_GROUP, "kind": "HTTPRoute", "matchLabels": {NAME: model, COMPONENT: "route"}}
        found = objects.named("BackendTrafficPolicy", model)
        assert found["metadata"]["namespace"] == "modelway-models"
        assert found["spec"] == {
            "targetSelectors": [target],
            "timeout": {"http": {"connectionIdleTimeout": "2s"}},
        }


def _rate(requests: int, **selector: Any) -> dict[str, Any]:
    return {"clientSelectors": [selector], "limit": {"requests": requests, "unit": "Second"}}


def _hash(**key: Any) -> dict[str, Any]:
    return {"type": "ConsistentHash", "consistentHash": key}


HASTY = {"runtime-mlserver": "iris", "mixed": "mixed"}
"""Models by the set in which one version keeps connections for 5 s only."""
EVERY_PATH = {"path": {"type": "PathPrefix", "value": "/"}}
EACH_CLIENT: dict[str, Any] = {"headers": [{"type": "Distinct", "name": "x-modelway-client"}]}
IDLE = {"timeout": {"http": {"connectionIdleTimeout": "30s"}}}
ACCESS: dict[str, dict[str, dict[str, Any]]] = {
    "keyed": {
        "SecurityPolicy": {
            "cors": {
                "allowOrigins": ["https://shop.example"],
                "allowMethods": ["GET", "POST"],
                "allowHeaders": ["content-type", "x-api-key"],
                "exposeHeaders": ["x-request-id", "x-modelway-version", "retry-after"],
                "allowCredentials": False,
                "maxAge": "600s",
            },
            "apiKeyAuth": {
                "credentialRefs": [{"group": "", "kind": "Secret", "name": "modelway-api-keys"}],
                "extractFrom": [{"headers": ["x-api-key"]}],
                "forwardClientIDHeader": "x-modelway-client",
                "sanitize": True,
            },
            "authorization": {
                "defaultAction": "Deny",
                "rules": [
                    {"name": "allowed", "action": "Allow", "principal": {"clientCIDRs": ["203.0.113.0/24"]}},
                ],
            },
        },
        "EnvoyExtensionPolicy": {},
        "BackendTrafficPolicy": {
            **IDLE,
            "rateLimit": {"local": {"rules": [_rate(5, **EACH_CLIENT), _rate(50, **EVERY_PATH)]}},
            "requestBuffer": {"limit": "65536"},
        },
    },
    "jwt": {
        "SecurityPolicy": {
            "jwt": {
                "providers": [
                    {
                        "name": "modelway",
                        "issuer": "https://issuer.example",
                        "audiences": ["models"],
                        "remoteJWKS": {"uri": "https://issuer.example/keys"},
                        "claimToHeaders": [{"header": "x-modelway-client", "claim": "sub"}],
                        "extractFrom": {"headers": [{"name": "Authorization", "valuePrefix": "Bearer "}]},
                    }
                ]
            },
            "authorization": {
                "defaultAction": "Deny",
                "rules": [{"name": "allowed", "action": "Allow", "cel": "'x-modelway-client' in request.headers"}],
            },
        },
        "BackendTrafficPolicy": {**IDLE, "rateLimit": {"local": {"rules": [_rate(10, **EACH_CLIENT)]}}},
    },
    "limited": {
        "BackendTrafficPolicy": {
            **IDLE,
            "rateLimit": {
                "local": {
                    "rules": [
                        _rate(5, sourceCIDR={"type": "Distinct", "value": "0.0.0.0/0"}),
                        _rate(5, sourceCIDR={"type": "Distinct", "value": "::/0"}),
                        _rate(50, **EVERY_PATH),
                    ]
                }
            },
        }
    },
    "internal": {"BackendTrafficPolicy": {**IDLE, "requestBuffer": {"limit": "65536"}}},
    "header": {
        "BackendTrafficPolicy": {**IDLE, "loadBalancer": _hash(type="Headers", headers=[{"name": "x-user-id"}])}
    },
    "cookie": {"BackendTrafficPolicy": {**IDLE, "loadBalancer": _hash(type="Cookie", cookie={"name": "uid"})}},
}
"""Policies of the models of `k8s_objects.POLICIES` and `ROUTED`; a Lua script is looked at in `access`."""

CHECKS = (access, short_connections)
