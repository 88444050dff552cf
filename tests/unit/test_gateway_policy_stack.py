"""The edge in the stack config: what acts on which object, and what is refused before anything is created."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from modelway.gateway.gateway import GatewayArgs, gateway_spec
from modelway.gateway.objects import gateway_manifests, network_policies
from modelway.serving.model_service import ModelServiceArgs, policy_manifests
from modelway.serving.routes import route_manifests
from modelway.serving.routes_args import route_spec
from pydantic import BaseModel

from infra import edge
from infra.config_gateway import AuthSettings, ConnectionSettings, CorsSettings, JwtSettings, LimitSettings
from infra.config_schema import Access, Environment, Settings
from infra.routes import route_args
from infra.settings import load
from tools.problem import ProblemError

DIGEST = "registry.example/iris@sha256:" + "a" * 64
JWKS = json.dumps({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]})
JWT = {"issuer": "https://id.example", "audiences": ["models"], "jwksUrl": "https://id.example:8443/keys"}
GROUND: GatewayArgs = {"address": "127.0.0.1:8080", "models_namespaces": ["modelway-models"], "replicas": 1}


def model(name: str = "iris", **changes: Any) -> dict[str, Any]:
    return {"name": name, "versions": [{"name": "v1", "image": DIGEST}], **changes}


def config(*models: dict[str, Any], gateway: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "cluster": {"provider": "node"},
        "models": list(models) or [model()],
        "gateway": gateway or {},
        **changes,
    }
    return {f"modelway:{key}": value for key, value in keys.items()}


def sentences(raw: dict[str, Any]) -> list[str]:
    with pytest.raises(ProblemError) as caught:
        load(raw, "test")
    return str(caught.value).splitlines()


def rendered(settings: Settings) -> list[dict[str, Any]]:
    """Every object at the edge that the program would register."""
    ground = cast(GatewayArgs, {**GROUND, "replicas": settings.gateway.replicas})
    args = edge.gateway_args(settings, ground)
    spec = gateway_spec("gateway", args)
    found = [*gateway_manifests(spec), *network_policies(spec)]
    for each in settings.models:
        made = {**edge.service_args(settings, each), **route_args(settings, each)}
        known = {"versions": [{"name": "v1", "image": DIGEST}], "namespace": "modelway-models", "gateway_url": "u"}
        routes = route_spec(each.name, cast(ModelServiceArgs, {**known, **made}))
        found += [*policy_manifests(routes).values(), *route_manifests(routes)]
    return found


BASE = config(
    model(access="keyed"),
    model("inside", access="internal"),
    gateway={"auth": {}, "cors": {"origins": ["https://a.example"]}},
)
TOKENS = config(model(access="keyed"), gateway={"auth": {"method": "jwt", "jwt": JWT}})
LIMITS = {"requestsPerSecond": 50, "requestsPerSecondPerClient": 5, "bodyBytes": 1000, "timeoutSeconds": 7}
CHANGES: dict[type[BaseModel], tuple[dict[str, Any], str, dict[str, Any]]] = {
    LimitSettings: (BASE, "limits", LIMITS),
    AuthSettings: (BASE, "auth", {"method": {"method": "jwt", "jwt": JWT}, "header": "x-token", "jwt": None}),
    JwtSettings: (
        TOKENS,
        "auth.jwt",
        {
            "issuer": "https://other.example",
            "audiences": ["others"],
            "jwksUrl": "https://id.example:9443/keys",
            "jwks": {"jwksUrl": None, "jwks": JWKS},
            "clientClaim": "team",
        },
    ),
    CorsSettings: (
        BASE,
        "cors",
        {
            "origins": ["https://b.example"],
            "methods": ["GET"],
            "headers": ["x-mine"],
            "credentials": True,
            "maxAgeSeconds": 1,
        },
    ),
    ConnectionSettings: (
        BASE,
        "connections",
        {"maximum": 7, "idleSeconds": 7, "headerSeconds": 7, "requestSeconds": 17},
    ),
}


def changed(raw: dict[str, Any], path: str, field: str, value: Any) -> dict[str, Any]:
    """The config with one field of the gateway's section `path` set; a map stands for several fields of it."""
    result = copy.deepcopy(raw)
    section = result["modelway:gateway"]
    for part in path.split("."):
        section = section.setdefault(part, {})
    for name, each in (value if isinstance(value, dict) else {field: value}).items():
        if each is None:
            section.pop(name, None)
        else:
            section[name] = each
    return result


def cases() -> Iterator[tuple[type[BaseModel], str]]:
    for section in CHANGES:
        yield from ((section, field.alias or name) for name, field in section.model_fields.items())


@pytest.mark.parametrize(("section", "field"), list(cases()), ids=lambda value: getattr(value, "__name__", value))
def test_every_field_of_the_edge_acts(section: type[BaseModel], field: str) -> None:
    raw, path, values = CHANGES[section]
    assert set(values) == {each.alias or name for name, each in section.model_fields.items()}
    if section is AuthSettings and field == "jwt":
        assert sentences(changed(raw, path, field, {"jwt": JWT}))[0].startswith("modelway:gateway.auth.jwt: not used")
        return
    assert rendered(load(changed(raw, path, field, values[field]), "test")) != rendered(load(raw, "test"))


@pytest.mark.parametrize(
    ("field", "value"),
    [("trustedProxies", 1), ("sourceRanges", ["10.0.0.0/8"]), ("replicas", 2), ("className", "other")],
)
def test_every_other_field_of_the_gateway_acts(field: str, value: Any) -> None:
    raw = config()
    other = copy.deepcopy(raw)
    other["modelway:gateway"][field] = value
    assert rendered(load(other, "test")) != rendered(load(raw, "test"))


@pytest.mark.parametrize("field", LIMITS)
def test_a_model_s_own_limit_counts_instead_of_the_gateway_s(field: str) -> None:
    gateway = {"limits": {field: LIMITS[field]}}
    own = {field: LIMITS[field] - 1}
    settings = load(config(model(limits=own), model("other"), gateway=gateway), "test")
    first, second = (edge.service_args(settings, each)["limits"] for each in settings.models)
    assert (list(first.values()), list(second.values())) == ([LIMITS[field] - 1], [LIMITS[field]])


@pytest.mark.parametrize("access", Access)
def test_every_access_makes_other_objects(access: Access) -> None:
    gateway = {"auth": {}} if access is Access.KEYED else {}
    found = rendered(load(config(model(access=access.value), gateway=gateway), "test"))
    kinds = {manifest["kind"] for manifest in found}
    gateways = {manifest["metadata"]["name"] for manifest in found if manifest["kind"] == "Gateway"}
    labels = {m["metadata"]["labels"]["modelway.dev/access"] for m in found if m["kind"] == "HTTPRoute"}
    assert labels == {access.value}
    assert ("SecurityPolicy" in kinds) == (access is Access.KEYED)
    assert gateways == {"modelway", *(["modelway-internal"] if access is Access.INTERNAL else [])}


def test_access_is_keyed_in_production_and_public_elsewhere() -> None:
    settings = load(config(), "test")
    assert edge.access_of(settings, settings.models[0]) is Access.PUBLIC
    production = settings.model_copy(update={"environment": Environment.PRODUCTION})
    assert edge.access_of(production, settings.models[0]) is Access.KEYED


def test_proxies_see_addresses_only_where_something_asks_for_them() -> None:
    def asked(raw: dict[str, Any]) -> bool:
        return edge.gateway_args(load(raw, "test"), GROUND).get("client_addresses", False)

    limits = {"requestsPerSecondPerClient": 5}
    assert not asked(config())
    assert asked(config(gateway={"sourceRanges": ["10.0.0.0/8"]}))
    assert asked(config(model(limits=limits)))
    assert not asked(config(model(limits=limits, access="keyed"), gateway={"auth": {}}))
    assert not asked(config(gateway={"sourceRanges": ["10.0.0.0/8"], "trustedProxies": 1}))


def test_proxies_reach_the_issuer_s_port_and_no_other() -> None:
    def egress(raw: dict[str, Any]) -> list[Any]:
        (policy,) = [
            each
            for each in rendered(load(raw, "test"))
            if each["kind"] == "NetworkPolicy" and each["metadata"]["name"] == "proxy"
        ]
        return cast(list[Any], policy["spec"]["egress"])

    (added,) = [rule for rule in egress(TOKENS) if rule not in egress(config())]
    assert added["ports"] == [{"protocol": "TCP", "port": 8443}]
    assert added["to"] == [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}}]


def test_the_gateway_inside_admits_pods_only() -> None:
    found = rendered(load(BASE, "test"))
    policies = {each["metadata"]["name"]: each["spec"] for each in found if each["kind"] == "NetworkPolicy"}
    assert policies["internal-proxy"]["ingress"][0] == {
        "from": [{"namespaceSelector": {}}],
        "ports": [{"protocol": "TCP", "port": 10080}],
    }
    gateways = [
        policies[name]["podSelector"]["matchLabels"]["gateway.envoyproxy.io/owning-gateway-name"]
        for name in ("proxy", "internal-proxy")
    ]
    assert gateways == ["modelway", "modelway-internal"]
    (proxy,) = [
        each for each in found if each["kind"] == "EnvoyProxy" and each["metadata"]["name"] == "modelway-internal"
    ]
    assert proxy["spec"]["provider"]["kubernetes"]["envoyService"] == {
        "type": "ClusterIP",
        "name": "modelway-internal",
    }


PRODUCTION = {
    "environment": "production",
    "cluster": {"provider": "existing", "kubeconfig": "k"},
    "images": {"gateway": DIGEST, "prometheus": DIGEST},
}
ADDRESS = {"address": "models.example"}
REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        config(model(access="public"), gateway=ADDRESS, **PRODUCTION),
        "modelway:models iris.access: public in a production stack: got public, allowed keyed, internal; remove access "
        "or change it.",
    ),
    (
        config(gateway=ADDRESS, **PRODUCTION),
        "modelway:gateway.auth: missing for keyed model iris: got nothing, allowed method api-key or jwt; set "
        "gateway.auth.",
    ),
    (
        config(model(access="keyed")),
        "modelway:gateway.auth: missing for keyed model iris: got nothing, allowed method api-key or jwt; set "
        "gateway.auth.",
    ),
    (
        config(gateway={"auth": {}}),
        "modelway:gateway.auth: no model is keyed: got auth, allowed a model with access keyed; set access of a model, "
        "or remove auth.",
    ),
    (
        config(model(access="internal"), gateway={"sourceRanges": ["10.0.0.0/8"]}),
        "modelway:gateway.sourceRanges: every model is internal: got sourceRanges, allowed a model with access public or "
        "keyed; remove sourceRanges.",
    ),
    (
        config(model(access="open")),
        "modelway:models[0].access: unknown value: got 'open', allowed public, keyed, internal; remove or correct it.",
    ),
    (
        config(gateway={"limits": {"requestsPerSecond": 0}}),
        "modelway:gateway.limits.requestsPerSecond: out of range: got 0, allowed 1 to 1000000; change it.",
    ),
    (
        config(model(limits={"requestsPerSecond": 101}), gateway={"replicas": 2}),
        "modelway:models iris.limits.requestsPerSecond: cannot be divided: got 101, allowed a multiple of 2, the number "
        "of proxies, each of which counts alone; change it or replicas.",
    ),
    (
        config(gateway={"limits": {"bodyBytes": 2000000}}),
        "modelway:gateway.limits.bodyBytes for model iris: out of range: got 2000000, allowed 1 to 1048576; change it.",
    ),
    (
        config(model(limits={"bodyByte": 1})),
        "modelway:models[0].limits.bodyByte: unknown key: got 'bodyByte', allowed requestsPerSecond, "
        "requestsPerSecondPerClient, bodyBytes, timeoutSeconds; write 'bodyBytes'.",
    ),
    (
        config(model(access="keyed"), gateway={"auth": {"keys": {"acme": "planted-secret"}}}),
        "modelway:gateway.auth.keys: unknown key: got 'keys', allowed method, header, jwt; remove or correct it.",
    ),
    (
        config(model(access="keyed"), gateway={"auth": {"method": "jwt", "jwt": {**JWT, "audiences": []}}}),
        "modelway:gateway.auth.jwt.audiences: wrong number or empty: got 0 names, allowed 1 to 8 names; name for whom "
        "tokens are made.",
    ),
    (
        config(model(access="keyed"), gateway={"auth": {"method": "jwt", "jwt": {**JWT, "jwks": JWKS}}}),
        "modelway:gateway.auth.jwt.jwksUrl: not one source of keys: got jwksUrl and jwks, allowed jwksUrl or jwks; set "
        "exactly one of them.",
    ),
    (
        config(gateway={"cors": {"origins": ["*"], "credentials": True}}),
        "modelway:gateway.cors.credentials: every page may act for its visitor: got origin '*', allowed origins by name; "
        "name them.",
    ),
    (
        config(gateway={"sourceRanges": ["10.0.0.1/8"]}),
        "modelway:gateway.sourceRanges: no network: got '10.0.0.1/8', allowed a network as 10.0.0.0/8 or 2001:db8::/32, "
        "no bits beyond its length; correct it.",
    ),
    (
        config(gateway={"trustedProxies": 11}),
        "modelway:gateway.trustedProxies: out of range: got 11, allowed 0 to 10; change it.",
    ),
    (
        config(gateway={"connections": {"maximum": 0}}),
        "modelway:gateway.connections.maximum: out of range: got 0, allowed 1 to 50000; change it.",
    ),
    (
        config(gateway={"connections": {"headerSeconds": 30, "requestSeconds": 20}}),
        "modelway:gateway.connections.requestSeconds: ends before the headers: got 20, allowed at least headerSeconds, "
        "30; raise it or lower the other.",
    ),
    (
        config(model(), model("other", pathPrefix="/iris/v1")),
        "modelway:models other: paths within each other: got */iris/v1 and */iris of iris, allowed a host and path of "
        "its own; set pathPrefix or host.",
    ),
    (
        config(model(host="a.example", pathPrefix="/"), model("other", host="a.example")),
        "modelway:models other: paths within each other: got a.example/other and a.example of iris, allowed a host and "
        "path of its own; set pathPrefix or host.",
    ),
    (
        config(model(host="https://a.example")),
        "modelway:models iris.host: no host: got 'https://a.example', allowed a DNS name in lower case, without scheme "
        "and port; correct it.",
    ),
]


@pytest.mark.parametrize(("raw", "sentence"), REFUSED, ids=[sentence[:70] for _, sentence in REFUSED])
def test_what_cannot_hold_is_refused_in_preview(raw: dict[str, Any], sentence: str) -> None:
    found = sentences(raw)
    assert sentence in found
    assert "planted-secret" not in "".join(found)


def test_another_class_refuses_what_it_cannot_say_by_name() -> None:
    gateway = {
        "className": "other",
        "replicas": 2,
        "auth": {},
        "limits": {"requestsPerSecond": 10, "timeoutSeconds": 5},
        "sourceRanges": ["10.0.0.0/8"],
        "trustedProxies": 1,
        "cors": {"origins": ["*"]},
        "connections": {"maximum": 5},
        "chart": "mine.tgz",
    }
    models = [model(access="keyed", limits={"bodyBytes": 5}), model("inside", access="internal")]
    found = sentences(config(*models, gateway=gateway, images={"proxy": DIGEST}))
    names = [sentence.partition(": ")[0] for sentence in found]
    assert names == [
        "modelway:gateway.auth",
        "modelway:gateway.chart",
        "modelway:gateway.connections",
        "modelway:gateway.cors",
        "modelway:gateway.limits.requestsPerSecond",
        "modelway:gateway.replicas",
        "modelway:gateway.sourceRanges",
        "modelway:gateway.trustedProxies",
        "modelway:images.proxy",
        "modelway:models iris.access",
        "modelway:models iris.limits.bodyBytes",
        "modelway:models inside.access",
    ]
    assert {sentence.partition(": ")[2] for sentence in found} == {
        "not known to gateway class other: got a value, allowed only with className modelway; remove it, or remove "
        "className."
    }


def test_another_class_gets_standard_objects_only(deploy: Callable[[Callable[[], object]], Any]) -> None:
    from modelway import Gateway

    gateway = {"className": "other", "limits": {"timeoutSeconds": 5}}
    settings = load(config(gateway=gateway), "test")
    found = rendered(settings)
    assert not [each for each in found if each["apiVersion"].startswith("gateway.envoyproxy.io")]
    (made,) = [each for each in found if each["kind"] == "Gateway"]
    assert made["spec"]["gatewayClassName"] == "other"
    deployed = deploy(lambda: Gateway("gateway", edge.gateway_args(settings, GROUND)))
    assert deployed.names("Release") == []
    assert not [name for name in deployed.names("CustomResourceDefinition") if "envoyproxy" in name]
    assert deployed.names("CustomResourceDefinition") != []


@pytest.mark.parametrize("field", ["replicas", "connections", "trusted_proxies", "internal", "gateway_image"])
def test_the_component_refuses_what_another_class_cannot_say(field: str) -> None:
    args = {
        "address": "a",
        "models_namespaces": ["m"],
        "class_name": "other",
        field: {} if field == "connections" else 1,
    }
    with pytest.raises(ValueError, match=f'^Gateway."gateway".\\.{field}: not known to class other: got {field}, '):
        gateway_spec("gateway", cast(GatewayArgs, args))


def test_a_guarded_model_shows_that_it_is_served_by_refusing() -> None:
    settings = load(BASE, "test")
    assert [edge.refusals(settings, each) for each in settings.models] == [{401}, frozenset()]
    ranged = load(config(gateway={"sourceRanges": ["10.0.0.0/8"]}), "test")
    assert edge.refusals(ranged, ranged.models[0]) == {403}
