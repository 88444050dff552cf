"""Policies of a model that the component refuses, each in one sentence."""

import json
import re
from typing import Any

import pytest
from modelway.serving.routes_args import route_spec

from tests.unit.test_gateway_policy import DIGEST, JWT, args

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
