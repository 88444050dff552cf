"""What the gateway's objects must say: hardened proxies, TLS, connections, errors."""

import re
from dataclasses import dataclass
from typing import Any

from tests.unit.k8s_checks import Objects

Manifest = dict[str, Any]
NAMESPACE, API_GROUP = "modelway-gateway", "gateway.networking.k8s.io"
HARDENED = {
    "allowPrivilegeEscalation": False,
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
USER = {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
LOGGED = {
    *("time", "request_id", "client", "address", "method", "host", "path", "status", "details", "route", "server"),
    *("milliseconds", "bytes_received", "bytes_sent", "traceparent"),
}
STATUSES = [400, 401, 403, 408, 413, 426, 429, 431, 500, 502, 503, 504, 404, 404]
"""404 twice: where there is no route, and what a route answers by itself."""


@dataclass(frozen=True)
class Facts:
    """What one set's gateway was told."""

    issuer: str = ""
    all: bool = False
    foreign: bool = False

    @property
    def secret(self) -> str:
        """Secret of the certificate."""
        return "bought" if self.issuer == "secret" else "modelway-tls"


GATEWAYS = {
    "gateway": Facts(),
    "gateway-all": Facts("ca", all=True),
    "gateway-acme": Facts("acme"),
    "gateway-secret": Facts("secret"),
    "gateway-foreign": Facts("secret", foreign=True),
}


def _names(facts: Facts) -> list[str]:
    """Gateways of our own class."""
    return [] if facts.foreign else ["modelway", *(["modelway-internal"] if facts.all else [])]


def _target(name: str, **more: str) -> dict[str, str]:
    return {"group": API_GROUP, "kind": "Gateway", "name": name, **more}


def proxies(objects: Objects) -> None:
    """The pods of the proxies are as hardened as ours, spread, end in order, and log no key, token or query."""
    facts = GATEWAYS[objects.name]
    for name in _names(facts):
        spec = objects.named("EnvoyProxy", name)["spec"]
        assert set(spec) == {"provider", "logging", "shutdown", "telemetry"}
        assert spec["logging"] == {"level": {"default": "warn"}}
        assert spec["shutdown"] == {"drainTimeout": "30s", "minDrainDuration": "10s"}
        (settings,) = spec["telemetry"]["accessLog"]["settings"]
        assert settings["sinks"] == [{"type": "File", "file": {"path": "/dev/stdout"}}]
        assert (settings["format"]["type"], set(settings["format"]["json"])) == ("JSON", LOGGED)
        assert settings["format"]["json"]["path"] == "%PATH(NQ:ORIG_OR_PATH)%"
        assert not re.search(r"api-key|authorization|cookie", str(settings), re.IGNORECASE)
        assert (spec["provider"]["type"], set(spec["provider"])) == ("Kubernetes", {"type", "kubernetes"})
        kubernetes = dict(spec["provider"]["kubernetes"])
        assert kubernetes.pop("envoyPDB", None) == ({"maxUnavailable": 1} if facts.all else None)
        assert set(kubernetes) == {"envoyDeployment", "envoyService"}
        _proxy_pods(name, kubernetes["envoyDeployment"], facts)
        _proxy_service(name, kubernetes["envoyService"], facts)


def _proxy_pods(name: str, deployment: dict[str, Any], facts: Facts) -> None:
    assert set(deployment) == {"replicas", "pod", "container", "patch"}
    assert deployment["replicas"] == (2 if facts.all else 1)
    own = {"matchLabels": {"gateway.envoyproxy.io/owning-gateway-name": name}}
    assert deployment["pod"] == {
        "securityContext": {**USER, "fsGroup": 65532},
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": own}
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ],
    }
    container = dict(deployment["container"])
    assert re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", container.pop("image")) if facts.all else "image" not in container
    assert container == {
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"cpu": "2", "memory": "512Mi"},
        },
        "securityContext": {**USER, **HARDENED},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    limits = {"limits": {"cpu": "500m", "memory": "192Mi"}}
    pod = {
        "terminationGracePeriodSeconds": 45,
        "containers": [{"name": "shutdown-manager", "resources": limits}],
    }
    assert deployment["patch"] == {"type": "StrategicMerge", "value": {"spec": {"template": {"spec": pod}}}}


def _proxy_service(name: str, service: dict[str, Any], facts: Facts) -> None:
    if name == "modelway-internal":
        assert service == {"type": "ClusterIP", "name": name}
        return
    ports = [{"port": 80, "nodePort": 30080}, *([{"port": 443, "nodePort": 30443}] if facts.issuer else [])]
    assert service == {
        "type": "NodePort",
        "externalTrafficPolicy": "Local" if facts.all else "Cluster",
        "patch": {"type": "StrategicMerge", "value": {"spec": {"ports": ports}}},
    }


def gateways(objects: Objects) -> None:
    """Listeners for the namespaces that we say; with TLS, plain HTTP takes no route of a model."""
    facts = GATEWAYS[objects.name]
    models = {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"modelway.dev/routes": "true"}}}}
    plain = {"name": "http", "protocol": "HTTP", "port": 80, "allowedRoutes": models}
    listeners = [plain]
    if facts.issuer:
        certificate = {"group": "", "kind": "Secret", "name": facts.secret}
        listeners = [
            {**plain, "allowedRoutes": {"namespaces": {"from": "Same"}}},
            {
                "name": "https",
                "protocol": "HTTPS",
                "port": 443,
                "tls": {"mode": "Terminate", "certificateRefs": [certificate]},
                "allowedRoutes": models,
            },
        ]
    gateway = objects.named("Gateway", "modelway")
    assert gateway["metadata"]["annotations"] == {"pulumi.com/waitFor": "condition=Programmed"}
    class_name = "other" if facts.foreign else "modelway"
    assert gateway["spec"] == {"gatewayClassName": class_name, "listeners": listeners}
    parameters = {"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy"}
    if not facts.foreign:
        assert objects.named("GatewayClass", "modelway")["spec"] == {
            "controllerName": "gateway.envoyproxy.io/gatewayclass-controller",
            "parametersRef": {**parameters, "name": "modelway", "namespace": NAMESPACE},
        }
    if facts.all:
        internal = objects.named("Gateway", "modelway-internal")
        assert internal["metadata"]["annotations"] == {"pulumi.com/waitFor": "condition=Programmed"}
        assert internal["spec"] == {
            "gatewayClassName": "modelway",
            "listeners": [plain],
            "infrastructure": {"parametersRef": {**parameters, "name": "modelway-internal"}},
        }


def redirect(objects: Objects) -> None:
    """Plain HTTP is sent to HTTPS, whatever it asks for."""
    if GATEWAYS[objects.name].issuer:
        assert objects.named("HTTPRoute", "modelway-redirect")["spec"] == {
            "parentRefs": [_target("modelway", namespace=NAMESPACE, sectionName="http")],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "filters": [
                        {
                            "type": "RequestRedirect",
                            "requestRedirect": {"scheme": "https", "port": 443, "statusCode": 301},
                        }
                    ],
                }
            ],
        }


def certificates(objects: Objects) -> None:
    """Keys of their own kind and life for the authority and for the server; ACME proves through the gateway."""
    facts = GATEWAYS[objects.name]
    for manifest in (*objects.of("Issuer"), *objects.of("Certificate")):
        assert manifest["metadata"]["annotations"] == {"pulumi.com/waitFor": "condition=Ready"}
    if facts.issuer in ("ca", "acme"):
        own = {"duration": "2160h0m0s", "renewBefore": "720h0m0s", "ipAddresses": ["192.0.2.7"]}
        assert objects.named("Certificate", "modelway")["spec"] == {
            "secretName": "modelway-tls",
            "issuerRef": _issuer("modelway"),
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "usages": ["digital signature", "server auth"],
            "dnsNames": ["models.example"],
            **(own if facts.issuer == "ca" else {}),
        }
    if facts.issuer == "ca":
        assert objects.named("Issuer", "modelway")["spec"] == {"ca": {"secretName": "modelway-ca"}}
        assert objects.named("Issuer", "modelway-self-signed")["spec"] == {"selfSigned": {}}
        assert objects.named("Certificate", "modelway-ca")["spec"] == {
            "isCA": True,
            "commonName": "modelway-gateway CA",
            "secretName": "modelway-ca",
            "issuerRef": _issuer("modelway-self-signed"),
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Never"},
            "usages": ["cert sign", "crl sign"],
            "duration": "87600h0m0s",
            "renewBefore": "8760h0m0s",
        }
    if facts.issuer == "acme":
        parent = _target("modelway", namespace=NAMESPACE, sectionName="http")
        assert objects.named("Issuer", "modelway")["spec"] == {
            "acme": {
                "email": "ops@models.example",
                "server": "https://acme-v02.api.letsencrypt.org/directory",
                "privateKeySecretRef": {"name": "modelway-acme"},
                "solvers": [{"http01": {"gatewayHTTPRoute": {"parentRefs": [parent]}}}],
            }
        }


def _issuer(name: str) -> dict[str, str]:
    return {"group": "cert-manager.io", "kind": "Issuer", "name": name}


def connections(objects: Objects) -> None:
    """What strangers may send: headers that only the gateway sets are dropped, slow and idle ones are closed."""
    facts = GATEWAYS[objects.name]
    for name in _names(facts):
        outside = name == "modelway"
        expected = _connections(name, trusted=facts.all and outside)
        assert objects.named("ClientTrafficPolicy", name)["spec"] == expected
        if facts.issuer and outside:
            secure = _connections(name, trusted=facts.all)
            secure["targetRefs"] = [_target(name, sectionName="https")]
            secure["tls"] = {"minVersion": "1.3" if facts.issuer == "secret" else "1.2"}
            if facts.issuer != "secret":
                hsts = {"name": "strict-transport-security", "value": "max-age=31536000"}
                secure["headers"]["lateResponseHeaders"]["set"] = [hsts]
            assert objects.named("ClientTrafficPolicy", f"{name}-https")["spec"] == secure
        assert objects.named("BackendTrafficPolicy", name)["spec"] == {
            "targetRefs": [_target(name)],
            "timeout": {"http": {"connectionIdleTimeout": "30s"}},
        }


def _connections(name: str, trusted: bool) -> dict[str, Any]:
    late = [{"name": "x-request-id", "value": "%REQ(X-REQUEST-ID)%"}]
    return {
        "targetRefs": [_target(name)],
        "headers": {
            "requestID": "PreserveOrGenerate",
            "earlyRequestHeaders": {"remove": ["x-modelway-client", "x-modelway-assignment"]},
            "lateResponseHeaders": {"addIfAbsent": late},
        },
        "path": {"escapedSlashesAction": "RejectRequest"},
        "timeout": {
            "http": {"requestHeadersReceivedTimeout": "10s", "requestReceivedTimeout": "60s", "idleTimeout": "300s"}
        },
        "connection": {"connectionLimit": {"value": 1000}},
        **({"clientIPDetection": {"xForwardedFor": {"numTrustedHops": 1}}} if trusted else {}),
    }


def errors(objects: Objects) -> None:
    """Every error that the gateway makes has the server's shape and says nothing of the inside."""
    facts = GATEWAYS[objects.name]
    for name in _names(facts):
        spec = objects.named("EnvoyPatchPolicy", name)["spec"]
        assert (spec["targetRef"], spec["type"]) == (_target(name), "JSONPatch")
        listeners = ["http", "https"] if facts.issuer and name == "modelway" else ["http"]
        assert [patch["name"] for patch in spec["jsonPatches"]] == [f"{NAMESPACE}/{name}/{each}" for each in listeners]
        for patch in spec["jsonPatches"]:
            assert patch["type"] == "type.googleapis.com/envoy.config.listener.v3.Listener"
            operation = patch["operation"]
            assert (operation["op"], operation["path"]) == ("add", "/local_reply_config")
            assert "http_connection_manager" in operation["jsonPath"]
            mappers = operation["value"]["mappers"]
            assert [_mapped(mapper) for mapper in mappers] == STATUSES
            *others, unrouted, direct = mappers
            assert all("status_code_filter" in each["filter"] for each in (*others, direct))
            assert unrouted["filter"]["and_filter"]["filters"][1:] == [{"response_flag_filter": {"flags": ["NR"]}}]
            assert _error(direct) == "%LOCAL_REPLY_BODY%"
            assert all(re.fullmatch(r"[a-z ]{10,}", _error(each)) for each in (*others, unrouted))


def _error(mapper: dict[str, Any]) -> str:
    return str(mapper["body_format_override"]["json_format"]["error"])


def _mapped(mapper: dict[str, Any]) -> int:
    both = mapper["filter"].get("and_filter", {}).get("filters", [mapper["filter"]])
    value = both[0]["status_code_filter"]["comparison"]["value"]
    comparison = {"op": "EQ", "value": {"default_value": value["default_value"], "runtime_key": "modelway.unset"}}
    assert both[0] == {"status_code_filter": {"comparison": comparison}}
    assert list(mapper["filter"]) in (["status_code_filter"], ["and_filter"])
    wanted = {"x-request-id": "%REQ(X-REQUEST-ID)%"}
    if value["default_value"] in (429, 503):
        wanted["retry-after"] = "1"
    added = [
        {"header": {"key": key, "value": text}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for key, text in wanted.items()
    ]
    assert mapper["headers_to_add"] == added
    body = mapper["body_format_override"]["json_format"]
    assert set(body) == {"error", "request_id"}
    assert body["request_id"] == "%REQ(X-REQUEST-ID)%"
    return int(value["default_value"])


GATEWAY_CHECKS = (proxies, gateways, redirect, certificates, connections, errors)


def gateway(objects: Objects) -> None:
    """All checks of a gateway, where the set is one."""
    if objects.name in GATEWAYS:
        for check in GATEWAY_CHECKS:
            check(objects)


CHECKS = (gateway,)
