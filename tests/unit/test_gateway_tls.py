"""TLS at the gateway: the exact objects, and what is refused with which sentence."""

from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
from modelway.cluster.kind_config import kind_config
from modelway.gateway.cert_manager import CertManagerSpec, chart_values, crd_manifests, network_policies
from modelway.gateway.gateway import GatewayArgs, authority, gateway_spec
from modelway.gateway.hosts import covers, is_host
from modelway.gateway.objects import gateway_objects
from modelway.gateway.objects import network_policies as gateway_network_policies
from modelway.gateway.tls import TlsArgs, tls_of

from infra.config_schema import Settings
from infra.ground import Ground
from infra.predictions import Address
from infra.settings import load
from tools.node.layout import Ports

DIGEST = "registry.example/iris@sha256:" + "a" * 64
NAMES = ("models.example.com", "10.1.2.3")
CRDS = {crd["spec"]["names"]["kind"]: crd for crd in crd_manifests()}


def spec_of(tls: TlsArgs | None, **other: Any) -> Any:
    args: GatewayArgs = {"address": "models.example.com:80", "models_namespaces": ["models"], **other}
    return gateway_spec("g", args if tls is None else {**args, "tls": tls})


def objects(**tls: Any) -> dict[str, Any]:
    return gateway_objects(spec_of({"hosts": list(NAMES), **tls}))  # type: ignore[typeddict-item]


def config(tls: Mapping[str, Any] | None, **changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "cluster": {"provider": "node"},
        "gateway": {} if tls is None else {"tls": tls},
        "models": [{"name": "iris", "versions": [{"name": "v1", "image": DIGEST}]}],
    }
    return {f"modelway:{key}": value for key, value in {**base, **changes}.items()}


def settings(tls: Mapping[str, Any], **changes: Any) -> Settings:
    return load(config(tls, **changes), "test")


def test_without_tls_nothing_of_it_is_there() -> None:
    made = gateway_objects(spec_of(None))
    assert {"redirect", "https-policy", "certificate"}.isdisjoint(made)
    assert [listener["name"] for listener in made["gateway"]["spec"]["listeners"]] == ["http"]
    (port,) = made["proxy"]["spec"]["provider"]["kubernetes"]["envoyService"]["patch"]["value"]["spec"]["ports"]
    assert port == {"port": 80, "nodePort": 30080}


def test_an_authority_of_its_own_signs_the_certificate_before_the_gateway_needs_it() -> None:
    made = objects()
    roles = list(made)
    assert roles[:4] == ["root-issuer", "authority", "issuer", "certificate"]
    assert roles.index("certificate") < roles.index("gateway") < roles.index("redirect")
    assert [made[role]["spec"] for role in roles[:4]] == [
        {"selfSigned": {}},
        {
            "isCA": True,
            "commonName": "modelway-gateway CA",
            "secretName": "modelway-ca",
            "issuerRef": {"group": "cert-manager.io", "kind": "Issuer", "name": "modelway-self-signed"},
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Never"},
            "usages": ["cert sign", "crl sign"],
            "duration": "87600h0m0s",
            "renewBefore": "8760h0m0s",
        },
        {"ca": {"secretName": "modelway-ca"}},
        {
            "secretName": "modelway-tls",
            "issuerRef": {"group": "cert-manager.io", "kind": "Issuer", "name": "modelway"},
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "usages": ["digital signature", "server auth"],
            "dnsNames": ["models.example.com"],
            "ipAddresses": ["10.1.2.3"],
            "duration": "2160h0m0s",
            "renewBefore": "720h0m0s",
        },
    ]
    assert {made[role]["metadata"]["namespace"] for role in roles[:4]} == {"modelway-gateway"}


def test_acme_proves_the_hosts_through_the_gateway_and_so_comes_after_it() -> None:
    made = objects(issuer="acme", acme={"email": "ops@example.com"}, hosts=["models.example.com"])
    assert list(made)[-3:] == ["redirect", "issuer", "certificate"]
    assert made["issuer"]["spec"]["acme"] == {
        "email": "ops@example.com",
        "server": "https://acme-v02.api.letsencrypt.org/directory",
        "privateKeySecretRef": {"name": "modelway-acme"},
        "solvers": [
            {
                "http01": {
                    "gatewayHTTPRoute": {
                        "parentRefs": [
                            {
                                "group": "gateway.networking.k8s.io",
                                "kind": "Gateway",
                                "name": "modelway",
                                "namespace": "modelway-gateway",
                                "sectionName": "http",
                            }
                        ]
                    }
                }
            }
        ],
    }
    assert {"duration", "renewBefore", "ipAddresses"}.isdisjoint(made["certificate"]["spec"])


def test_a_secret_that_is_there_needs_no_issuer() -> None:
    made = objects(issuer="secret", secret="edge")
    assert {"root-issuer", "authority", "issuer", "certificate"}.isdisjoint(made)
    assert made["gateway"]["spec"]["listeners"][1]["tls"]["certificateRefs"][0]["name"] == "edge"


@pytest.mark.parametrize("tls", [{}, {"issuer": "acme", "acme": {"email": "a@b.example"}, "hosts": ["a.example"]}])
def test_issuers_and_certificates_keep_to_the_crds(tls: dict[str, Any]) -> None:
    checked = 0
    for manifest in objects(**tls).values():
        if manifest["apiVersion"] != "cert-manager.io/v1":
            continue
        schema = CRDS[manifest["kind"]]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        jsonschema.validate(manifest, schema)
        assert set(manifest["spec"]) <= set(schema["properties"]["spec"]["properties"])
        checked += 1
    assert checked == (2 if tls else 4)


def test_no_route_of_a_model_is_taken_by_plain_http() -> None:
    plain, secure = objects()["gateway"]["spec"]["listeners"]
    assert (plain["name"], plain["protocol"], plain["port"]) == ("http", "HTTP", 80)
    assert plain["allowedRoutes"] == {"namespaces": {"from": "Same"}}
    assert secure == {
        "name": "https",
        "protocol": "HTTPS",
        "port": 443,
        "tls": {"mode": "Terminate", "certificateRefs": [{"group": "", "kind": "Secret", "name": "modelway-tls"}]},
        "allowedRoutes": {
            "namespaces": {"from": "Selector", "selector": {"matchLabels": {"modelway.dev/routes": "true"}}}
        },
    }


def test_plain_http_redirects_to_the_port_that_clients_use() -> None:
    route = objects(port=8443)["redirect"]
    assert route["metadata"]["namespace"] == "modelway-gateway"
    assert route["spec"]["parentRefs"][0]["sectionName"] == "http"
    assert route["spec"]["rules"] == [
        {
            "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
            "filters": [
                {
                    "type": "RequestRedirect",
                    "requestRedirect": {"scheme": "https", "port": 8443, "statusCode": 301},
                }
            ],
        }
    ]


def test_https_has_the_policy_of_plain_http_and_what_is_its_own() -> None:
    made = objects(minimum_version="1.3", hsts_seconds=60)
    plain, secure = made["client-policy"]["spec"], made["https-policy"]["spec"]
    assert secure["targetRefs"] == [{**plain["targetRefs"][0], "sectionName": "https"}]
    assert secure["tls"] == {"minVersion": "1.3"}
    late = secure["headers"]["lateResponseHeaders"]
    assert late.pop("set") == [{"name": "strict-transport-security", "value": "max-age=60"}]
    rest = {key: value for key, value in secure.items() if key not in ("tls", "targetRefs")}
    assert rest == {key: value for key, value in plain.items() if key != "targetRefs"}
    assert "set" not in objects(hsts_seconds=0)["https-policy"]["spec"]["headers"]["lateResponseHeaders"]


def test_both_ports_are_open_and_forwarded() -> None:
    spec = spec_of({"hosts": list(NAMES), "node_port": 30500})
    made = gateway_objects(spec)
    service = made["proxy"]["spec"]["provider"]["kubernetes"]["envoyService"]
    assert service["patch"]["value"]["spec"]["ports"] == [
        {"port": 80, "nodePort": 30080},
        {"port": 443, "nodePort": 30500},
    ]
    (proxy,) = [each for each in gateway_network_policies(spec) if each["metadata"]["name"] == "proxy"]
    assert [port["port"] for port in proxy["spec"]["ingress"][0]["ports"]] == [10080, 10443]
    mapped = kind_config(8080, None, 8443)["nodes"][0]["extraPortMappings"]
    assert [(each["containerPort"], each["hostPort"], each["listenAddress"]) for each in mapped] == [
        (30080, 8080, "127.0.0.1"),
        (30443, 8443, "127.0.0.1"),
    ]
    assert len(kind_config(8080, None)["nodes"][0]["extraPortMappings"]) == 1


def test_only_proxies_reach_the_answers_to_acme() -> None:
    spec = spec_of({"hosts": ["a.example"], "issuer": "acme", "acme": {"email": "a@b.example"}})
    policies = {each["metadata"]["name"]: each["spec"] for each in gateway_network_policies(spec)}
    (asked,) = policies["acme-solver"]["ingress"]
    assert asked["ports"] == [{"protocol": "TCP", "port": 8089}]
    assert asked["from"][0]["podSelector"] == {"matchLabels": {"app.kubernetes.io/component": "proxy"}}
    assert policies["proxy"]["egress"][-1]["ports"] == [{"protocol": "TCP", "port": 8089}]


def test_the_gateway_inside_the_cluster_stays_plain() -> None:
    made = gateway_objects(spec_of({"hosts": list(NAMES)}, internal=True))
    (listener,) = made["internal-gateway"]["spec"]["listeners"]
    assert listener["protocol"] == "HTTP"
    assert listener["allowedRoutes"]["namespaces"]["from"] == "Selector"


@pytest.mark.parametrize(
    ("address", "port", "url"),
    [
        ("models.example.com:80", 443, "models.example.com"),
        ("models.example.com", 8443, "models.example.com:8443"),
        ("127.0.0.1:8080", 8443, "127.0.0.1:8443"),
        ("[::1]:8080", 443, "[::1]"),
    ],
)
def test_the_url_has_the_host_of_the_address_and_the_port_of_https(address: str, port: int, url: str) -> None:
    assert authority(address, spec_of({"hosts": list(NAMES), "port": port})) == url
    assert authority(address, spec_of(None)) == address


def test_cert_manager_runs_with_limits_by_digest_and_leaves_no_lease_elsewhere() -> None:
    images = {
        name: f"r/{name}@sha256:{'b' * 64}" for name in ("controller", "webhook", "cainjector", "startupapicheck")
    }
    values = chart_values(CertManagerSpec(images=images))
    assert values["crds"] == {"enabled": False}
    assert values["global"] == {
        "leaderElection": {"namespace": "modelway-cert-manager"},
        "rbac": {"aggregateClusterRoles": False},
    }
    assert "config" not in values
    for name, part in (("controller", values), *((name, values[name]) for name in list(images)[1:])):
        assert part["image"] == {"repository": f"r/{name}", "digest": f"sha256:{'b' * 64}"}
        assert set(part["resources"]) == {"requests", "limits"}
        assert all(set(part["resources"][each]) == {"cpu", "memory"} for each in part["resources"])
    acme = chart_values(CertManagerSpec(acme=True, images={**images, "acmesolver": "r/s@sha256:0"}))
    assert acme["config"]["gatewayAPI"] == {"enabled": True}
    assert acme["acmesolver"]["image"] == {"repository": "r/s", "digest": "sha256:0"}


def test_cert_manager_reaches_the_api_server_and_nothing_else_without_acme() -> None:
    known = network_policies(CertManagerSpec(api_server_cidrs=("10.0.0.1/32",)))
    assert [each["metadata"]["name"] for each in known] == ["cert-manager", "webhook"]
    dns, server = known[0]["spec"]["egress"]
    assert [port["port"] for port in dns["ports"]] == [53, 53]
    assert server["to"] == [{"ipBlock": {"cidr": "10.0.0.1/32"}}]
    assert known[1]["spec"]["ingress"] == [
        {"from": [{"ipBlock": {"cidr": "10.0.0.1/32"}}], "ports": [{"protocol": "TCP", "port": 10250}]}
    ]
    *_, acme = network_policies(CertManagerSpec(acme=True))
    assert acme["spec"]["podSelector"] == {"matchLabels": {"app.kubernetes.io/component": "controller"}}
    assert [port["port"] for port in acme["spec"]["egress"][0]["ports"]] == [80, 443]


def test_the_node_has_its_own_chart_images_and_port() -> None:
    own = {name: f"r/{name}@sha256:0" for name in ("controller", "webhook", "cainjector", "startupapicheck")}
    found = settings({"hosts": ["127.0.0.1"]})
    ground = Ground(
        settings=found,
        ports=Ports(gateway_tls=9443),
        kubeconfig=None,
        identifier="i",
        address="127.0.0.1:8080",
        images={**own, "proxy": "p"},
        cert_manager_chart="/charts/c.tgz",
    )
    assert ground.tls_args() == {
        "hosts": ["127.0.0.1"],
        "port": 9443,
        "cert_manager_chart": "/charts/c.tgz",
        "cert_manager_images": own,
    }


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("models.example.com", True),
        ("localhost", True),
        ("*.example.com", True),
        ("10.0.0.1", True),
        ("2001:db8::1", True),
        ("*.com", False),
        ("a.*.example.com", False),
        ("https://example.com", False),
        ("example.com:443", False),
        ("Example.com", False),
        ("10.0.0.256", False),
        ("-a.example.com", False),
        ("", False),
        ("a" * 64 + ".example.com", False),
    ],
)
def test_hosts_are_names_or_addresses(host: str, good: bool) -> None:
    assert is_host(host) is good


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        ("models.example.com", True),
        ("MODELS.example.com", True),
        ("a.wild.example.com", True),
        ("b.a.wild.example.com", False),
        ("wild.example.com", False),
        ("example.com", False),
        ("::1", True),
        ("0:0:0:0:0:0:0:1", True),
        ("10.0.0.1", False),
    ],
)
def test_a_wildcard_is_one_label_and_addresses_are_compared_as_such(host: str, fits: bool) -> None:
    assert covers(["models.example.com", "*.wild.example.com", "::1"], host) is fits


def test_a_short_certificate_is_renewed_in_its_last_third() -> None:
    assert tls_of({"hosts": ["a"], "duration_hours": 24}).renew_before_hours == 8
    assert tls_of({"hosts": ["a"], "duration_hours": 1}).renew_before_hours == 0


def test_curl_trusts_the_gateways_own_authority(tmp_path: Any) -> None:
    assert "--cacert" not in Address("https://h/p").curl({"a": 1})
    assert f" --cacert {tmp_path}/ca.crt https://h/p " in Address("https://h/p", trusted=tmp_path / "ca.crt").curl({})
