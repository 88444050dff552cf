"""The objects that a model's policy becomes, and what the component refuses."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
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


PRIVATE = json.dumps({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "planted-secret", "p": "AQAB"}]})
SYMMETRIC = json.dumps({"keys": [{"kty": "oct", "k": "planted-secret"}]})


def jwt(**changes: Any) -> dict[str, Any]:
    known = {name: value for name, value in {**JWT, **changes}.items() if value is not None}
    return {"access": "keyed", "auth": {"method": "jwt", "jwt": known}}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"access": "open"}, "access: unknown value: got 'open', allowed public, keyed, internal; correct it."),
    (
        {"access": "keyed"},
        "auth: missing for access keyed: got nothing, allowed api-key or jwt; set auth, or change access.",
    ),
    (
        {"auth": {}},
        "auth: not used: got auth with access public, allowed only with access keyed; remove auth, or set access to "
        "keyed.",
    ),
    (
        {"access": "internal", "source_ranges": ["10.0.0.0/8"]},
        "source_ranges: not used: got source_ranges with access internal, allowed only with access public or keyed; "
        "remove source_ranges.",
    ),
    (
        {"access": "internal", "cors": {"origins": ["https://a.example"]}},
        "cors: not used: got cors with access internal, allowed only with access public or keyed; remove cors.",
    ),
    (
        {"access": "keyed", "auth": {"method": "basic"}},
        "auth.method: unknown value: got 'basic', allowed api-key, jwt; correct it.",
    ),
    (
        {"access": "keyed", "auth": {"header": "x api"}},
        "auth.header: no name of a header: got 'x api', allowed letters, digits and '-', at most 64; correct it.",
    ),
    (
        {"access": "keyed", "auth": {"header": "X-Modelway-Client"}},
        "auth.header: has a meaning already: got 'X-Modelway-Client', allowed any other header; choose another name.",
    ),
    (
        {"access": "keyed", "auth": {"jwt": JWT}},
        "auth.jwt: not used with method api-key: got jwt, allowed only with jwt; set method to jwt.",
    ),
    (
        {"access": "keyed", "auth": {"method": "jwt", "jwt": JWT, "header": "x-api-key"}},
        "auth.header: not used with method jwt: got 'x-api-key', allowed only with api-key; remove header.",
    ),
    (
        {"access": "keyed", "auth": {"method": "jwt", "jwt": JWT, "keys_secret": "mine"}},
        "auth.keys_secret: not used with method jwt: got 'mine', allowed only with api-key; remove keys_secret.",
    ),
    (
        {"access": "keyed", "auth": {"method": "jwt"}},
        "auth.jwt: missing: got nothing, allowed issuer, audiences and keys; set jwt.",
    ),
    (jwt(issuer=""), "auth.jwt.issuer: missing: got nothing, allowed the issuer's name, claim iss; set issuer."),
    (
        jwt(audiences=[]),
        "auth.jwt.audiences: wrong number or empty: got 0 names, allowed 1 to 8 names; name for whom tokens are made.",
    ),
    (
        jwt(jwks='{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]}'),
        "auth.jwt.jwks_url: not one source of keys: got jwks_url and jwks, allowed jwks_url or jwks; set exactly one of "
        "them.",
    ),
    (
        jwt(jwks_url=None),
        "auth.jwt.jwks_url: not one source of keys: got neither, allowed jwks_url or jwks; set exactly one of them.",
    ),
    (
        jwt(jwks_url="http://id.example/keys"),
        "auth.jwt.jwks_url: no safe address of keys: got 'http://id.example/keys', allowed https://HOST/PATH of at most "
        "253 characters; write the issuer's https address.",
    ),
    (
        jwt(jwks_url="https://me:planted-secret@id.example/keys"),
        "auth.jwt.jwks_url: no safe address of keys: got an address with a password, allowed https://HOST/PATH of at "
        "most 253 characters; write the issuer's https address.",
    ),
    (
        jwt(jwks_url=None, jwks="[]"),
        'auth.jwt.jwks: no set of keys: got 2 characters, allowed JSON as {"keys": [{"kty": …}]} with public keys only; '
        "copy what the issuer publishes.",
    ),
    (
        jwt(jwks_url=None, jwks=PRIVATE),
        'auth.jwt.jwks: a secret in plain config: got parameter d, p, allowed JSON as {"keys": [{"kty": …}]} with public '
        "keys only; write the public key and replace the leaked one.",
    ),
    (
        jwt(jwks_url=None, jwks=SYMMETRIC),
        'auth.jwt.jwks: a secret in plain config: got parameter k, allowed JSON as {"keys": [{"kty": …}]} with public '
        "keys only; write the public key and replace the leaked one.",
    ),
    (
        jwt(client_claim="a b"),
        "auth.jwt.client_claim: no name of a claim: got 'a b', allowed a name, or names joined by '.'; correct it.",
    ),
    (
        {"cors": {"origins": []}},
        "cors.origins: missing: got nothing, allowed https://HOST, https://*.DOMAIN or '*'; name the origins, or remove "
        "cors.",
    ),
    (
        {"cors": {"origins": ["app.example/path"]}},
        "cors.origins: no origin: got 'app.example/path', allowed https://HOST, https://*.DOMAIN or '*'; write scheme "
        "and host only.",
    ),
    (
        {"cors": {"origins": ["*"], "credentials": True}},
        "cors.credentials: every page may act for its visitor: got origin '*', allowed origins by name; name them.",
    ),
    (
        {"cors": {"origins": ["*"], "methods": ["FETCH"]}},
        "cors.methods: unknown method: got 'FETCH', allowed GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH; correct it.",
    ),
    (
        {"cors": {"origins": ["*"], "methods": []}},
        "cors.methods: missing: got nothing, allowed GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH; name the methods.",
    ),
    (
        {"cors": {"origins": ["*"], "headers": ["a:b"]}},
        "cors.headers: no name of a header: got 'a:b', allowed letters, digits and '-'; correct it.",
    ),
    (
        {"cors": {"origins": ["*"], "max_age_seconds": -1}},
        "cors.max_age_seconds: out of range: got -1, allowed 0 to 86400; change it.",
    ),
    (
        {"source_ranges": ["10.0.0.1"]},
        "source_ranges: no network: got '10.0.0.1', allowed a network as 10.0.0.0/8 or 2001:db8::/32, no bits beyond its "
        "length; correct it.",
    ),
    (
        {"source_ranges": ["10.0.0.1/8"]},
        "source_ranges: no network: got '10.0.0.1/8', allowed a network as 10.0.0.0/8 or 2001:db8::/32, no bits beyond "
        "its length; correct it.",
    ),
    (
        {"limits": {"requests_per_second": 0}},
        "limits.requests_per_second: out of range: got 0, allowed 1 to 1000000; change it.",
    ),
    (
        {"limits": {"requests_per_second_per_client": -1}},
        "limits.requests_per_second_per_client: out of range: got -1, allowed 1 to 1000000; change it.",
    ),
    (
        {"limits": {"requests_per_second": 100}, "proxies": 3},
        "limits.requests_per_second: cannot be divided: got 100, allowed a multiple of 3, the number of proxies, each of "
        "which counts alone; change it or replicas.",
    ),
    (
        {"limits": {"requests_per_second": 10, "requests_per_second_per_client": 11}},
        "limits.requests_per_second_per_client: never reached: got 11 of 10, allowed at most requests_per_second; lower "
        "it or remove it.",
    ),
    (
        {"limits": {"body_bytes": 1048577}},
        "limits.body_bytes: out of range: got 1048577, allowed 1 to 1048576; change it.",
    ),
    ({"limits": {"timeout_seconds": 31}}, "limits.timeout_seconds: out of range: got 31, allowed 1 to 30; change it."),
    ({"limits": {"timeout_seconds": 0}}, "limits.timeout_seconds: out of range: got 0, allowed 1 to 30; change it."),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED, ids=[sentence[:60] for _, sentence in REFUSED])
def test_what_cannot_hold_is_refused_with_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape('ModelService("iris").' + sentence) + "$") as caught:
        route_spec("iris", args(**changes))
    assert "planted-secret" not in str(caught.value)


def test_a_foreign_server_may_take_larger_bodies() -> None:
    version = {"name": "v1", "image": DIGEST, "runtime": "container"}
    limits = {"body_bytes": 64 * 2**20}
    assert route_spec("iris", args(versions=[version], limits=limits)).policy.limits.body_bytes == 64 * 2**20
    with pytest.raises(ValueError, match="allowed 1 to 67108864"):
        route_spec("iris", args(versions=[version], limits={"body_bytes": 64 * 2**20 + 1}))


def test_a_route_is_made_after_its_policies(deploy: Callable[[Callable[[], object]], Any]) -> None:
    from modelway import ModelService

    deployed = deploy(lambda: ModelService("iris", args(access="keyed", auth={}, limits={"requests_per_second": 5})))  # type: ignore[arg-type]
    order = [resource.name for resource in deployed.resources]
    policies = {"iris-security-policy", "iris-client-id-policy", "iris-traffic-policy"}
    assert policies < set(order)
    assert max(map(order.index, policies)) < min(map(order.index, ("iris-v1-route", "iris-split-route")))
