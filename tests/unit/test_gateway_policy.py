"""The objects that a model's policy becomes."""

import json
from collections.abc import Callable
from typing import Any

from modelway.gateway.client_id import client_id_policy
from modelway.gateway.policy import policy_of
from modelway.gateway.policy_spec import PolicySpec
from modelway.gateway.security import security_policy
from modelway.gateway.traffic import backend_traffic_policy
from modelway.serving.model_service import policy_manifests
from modelway.serving.routes import route_manifests
from modelway.serving.routes_args import route_spec

DIGEST = "registry.example/iris@sha256:" + "a" * 64
JWT = {"issuer": "https://id.example", "audiences": ["models"], "jwks_url": "https://id.example/keys"}
SELECTED = [
    {
        "group": "gateway.networking.k8s.io",
        "kind": "HTTPRoute",
        "matchLabels": {"app.kubernetes.io/name": "iris", "app.kubernetes.io/component": "route"},
    }
]


def args(**changes: Any) -> dict[str, Any]:
    return {
        "versions": [{"name": "v1", "image": DIGEST}],
        "namespace": "modelway-models",
        "gateway_url": "http://127.0.0.1:8080",
        **changes,
    }


def spec(**changes: Any) -> PolicySpec:
    return PolicySpec("iris", "modelway-models", policy_of(changes))


def body(manifest: dict[str, Any] | None, kind: str) -> dict[str, Any]:
    """What the policy says besides its targets."""
    assert manifest is not None
    assert (manifest["apiVersion"], manifest["kind"]) == ("gateway.envoyproxy.io/v1alpha1", kind)
    assert (manifest["metadata"]["name"], manifest["metadata"]["namespace"]) == ("iris", "modelway-models")
    content = dict(manifest["spec"])
    assert content.pop("targetSelectors") == SELECTED
    return content


def routes(**changes: Any) -> list[dict[str, Any]]:
    """The routes that lead to servers, and the one that answers by itself."""
    made = route_manifests(route_spec("iris", args(**changes)))
    return [each for each in made if each["kind"] == "HTTPRoute"]


def rules(**changes: Any) -> list[dict[str, Any]]:
    """The rules that lead to servers."""
    return [rule for each in routes(**changes) for rule in each["spec"]["rules"] if "backendRefs" in rule]


def test_a_model_without_policy_has_no_objects_of_envoy_gateway() -> None:
    assert policy_manifests(route_spec("iris", args())) == {}


def test_the_policies_select_every_route_of_the_model_and_no_other() -> None:
    versions = [{"name": name, "image": DIGEST, "weight": 50} for name in ("v1", "v2")]
    selected: Any = SELECTED[0]["matchLabels"]
    for manifest in routes(versions=versions):
        assert selected.items() <= manifest["metadata"]["labels"].items()
    other = route_manifests(route_spec("irises", args()))
    assert not any(selected.items() <= manifest["metadata"]["labels"].items() for manifest in other)


def test_keys_come_from_the_secret_name_the_client_and_go_no_further() -> None:
    keyed = spec(access="keyed", auth={})
    assert body(security_policy(keyed), "SecurityPolicy") == {
        "apiKeyAuth": {
            "credentialRefs": [{"group": "", "kind": "Secret", "name": "modelway-api-keys"}],
            "extractFrom": [{"headers": ["x-api-key"]}],
            "forwardClientIDHeader": "x-modelway-client",
            "sanitize": True,
        }
    }
    (lua,) = body(client_id_policy(keyed), "EnvoyExtensionPolicy")["lua"]
    assert lua["type"] == "Inline"
    assert 'headers:replace("x-modelway-client", string.sub(client, 1, -3))' in lua["inline"]


def test_header_and_secret_of_the_keys_can_be_others() -> None:
    policy = security_policy(spec(access="keyed", auth={"header": "X-Token", "keys_secret": "mine"}))
    keys = body(policy, "SecurityPolicy")["apiKeyAuth"]
    assert keys["credentialRefs"][0]["name"] == "mine"
    assert keys["extractFrom"] == [{"headers": ["x-token"]}]


def test_a_token_is_checked_names_the_client_and_is_read_from_one_header_only() -> None:
    token = spec(access="keyed", auth={"method": "jwt", "jwt": JWT})
    assert body(security_policy(token), "SecurityPolicy") == {
        "jwt": {
            "providers": [
                {
                    "name": "modelway",
                    "issuer": "https://id.example",
                    "audiences": ["models"],
                    "remoteJWKS": {"uri": "https://id.example/keys"},
                    "claimToHeaders": [{"header": "x-modelway-client", "claim": "sub"}],
                    "extractFrom": {"headers": [{"name": "Authorization", "valuePrefix": "Bearer "}]},
                }
            ]
        },
        "authorization": {
            "defaultAction": "Deny",
            "rules": [{"name": "allowed", "action": "Allow", "cel": "'x-modelway-client' in request.headers"}],
        },
    }
    assert client_id_policy(token) is None


def test_the_token_stays_at_the_gateway() -> None:
    found = rules(access="keyed", auth={"method": "jwt", "jwt": JWT})
    modifiers = [rule["filters"][1]["requestHeaderModifier"] for rule in found]
    assert modifiers
    assert all(modifier["remove"] == ["authorization"] for modifier in modifiers)


def test_inline_keys_of_an_issuer_are_written_into_the_policy() -> None:
    jwks = json.dumps({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]})
    jwt = {"issuer": "me", "audiences": ["models"], "jwks": jwks, "client_claim": "team.name"}
    (provider,) = body(security_policy(spec(access="keyed", auth={"method": "jwt", "jwt": jwt})), "SecurityPolicy")[
        "jwt"
    ]["providers"]
    assert provider["localJWKS"] == {"type": "Inline", "inline": jwks}
    assert "remoteJWKS" not in provider
    assert provider["claimToHeaders"] == [{"header": "x-modelway-client", "claim": "team.name"}]


def test_pages_may_send_the_key_and_read_the_request_id() -> None:
    cors = {"origins": ["https://app.example"], "max_age_seconds": 60.0}
    policy = security_policy(spec(access="keyed", auth={}, cors=cors))
    assert body(policy, "SecurityPolicy")["cors"] == {
        "allowOrigins": ["https://app.example"],
        "allowMethods": ["GET", "POST"],
        "allowHeaders": ["content-type", "x-api-key"],
        "exposeHeaders": ["x-request-id", "x-modelway-version", "retry-after"],
        "allowCredentials": False,
        "maxAge": "60s",
    }


def test_whoever_is_outside_the_ranges_is_denied() -> None:
    assert body(security_policy(spec(source_ranges=["10.0.0.0/8"])), "SecurityPolicy") == {
        "authorization": {
            "defaultAction": "Deny",
            "rules": [{"name": "allowed", "action": "Allow", "principal": {"clientCIDRs": ["10.0.0.0/8"]}}],
        }
    }


def test_a_token_and_a_range_are_both_needed() -> None:
    policy = security_policy(spec(access="keyed", auth={"method": "jwt", "jwt": JWT}, source_ranges=["10.0.0.0/8"]))
    (rule,) = body(policy, "SecurityPolicy")["authorization"]["rules"]
    assert rule["principal"] == {"clientCIDRs": ["10.0.0.0/8"]}
    assert rule["cel"] == "'x-modelway-client' in request.headers"


def test_limits_are_divided_by_the_proxies_and_hold_together() -> None:
    limits = {"requests_per_second": 100.0, "requests_per_second_per_client": 10.0, "body_bytes": 1000.0}
    policy = backend_traffic_policy(spec(access="keyed", auth={}, limits=limits, proxies=2.0))
    assert body(policy, "BackendTrafficPolicy") == {
        "timeout": {"http": {"connectionIdleTimeout": "30s"}},
        "rateLimit": {
            "local": {
                "rules": [
                    {
                        "clientSelectors": [{"headers": [{"type": "Distinct", "name": "x-modelway-client"}]}],
                        "limit": {"requests": 5, "unit": "Second"},
                    },
                    {
                        "clientSelectors": [{"path": {"type": "PathPrefix", "value": "/"}}],
                        "limit": {"requests": 50, "unit": "Second"},
                    },
                ]
            }
        },
        "requestBuffer": {"limit": "1000"},
    }


def test_clients_of_a_public_model_are_addresses_of_both_families() -> None:
    policy = backend_traffic_policy(spec(limits={"requests_per_second_per_client": 7}))
    rules = body(policy, "BackendTrafficPolicy")["rateLimit"]["local"]["rules"]
    assert [rule["clientSelectors"][0]["sourceCIDR"] for rule in rules] == [
        {"type": "Distinct", "value": "0.0.0.0/0"},
        {"type": "Distinct", "value": "::/0"},
    ]
    assert {rule["limit"]["requests"] for rule in rules} == {7}


def test_a_timeout_is_said_by_the_routes_of_any_gateway_class() -> None:
    limits = {"timeout_seconds": 5}
    assert policy_manifests(route_spec("iris", args(limits=limits))) == {}
    assert {rule["timeouts"]["request"] for rule in rules(limits=limits)} == {"5s"}


def test_an_internal_model_waits_for_the_gateway_inside_and_says_so() -> None:
    found = routes(access="internal")
    assert [manifest["metadata"]["name"] for manifest in found] == ["iris-v1", "iris-split", "iris-unknown"]
    for manifest in found:
        assert manifest["spec"]["parentRefs"][0]["name"] == "modelway-internal"
        assert manifest["metadata"]["labels"]["modelway.dev/access"] == "internal"


def test_a_route_is_made_after_its_policies(deploy: Callable[[Callable[[], object]], Any]) -> None:
    from modelway import ModelService

    deployed = deploy(lambda: ModelService("iris", args(access="keyed", auth={}, limits={"requests_per_second": 5})))  # type: ignore[arg-type]
    order = [resource.name for resource in deployed.resources]
    policies = {"iris-security-policy", "iris-client-id-policy", "iris-traffic-policy"}
    assert policies < set(order)
    assert max(map(order.index, policies)) < min(map(order.index, ("iris-v1-route", "iris-split-route")))
