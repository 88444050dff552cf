"""What a Gateway itself says of clients: connections, headers, errors and the log."""

from typing import Any

import pytest
from modelway.gateway.access_log import access_log
from modelway.gateway.client_traffic import client_traffic_policy
from modelway.gateway.gateway import gateway_spec, internal_url
from modelway.gateway.local_reply import SENTENCES
from modelway.gateway.objects import chart_values, gateway_objects
from modelway.gateway.policy import Connections
from modelway.gateway.route_metrics import ROUTE_REQUESTS

METADATA = {"name": "modelway", "namespace": "modelway-gateway"}


def objects(**changes: Any) -> dict[str, dict[str, Any]]:
    return gateway_objects(gateway_spec("gateway", {"address": "a", "models_namespaces": ["m"], **changes}))  # type: ignore[typeddict-item]


def test_clients_are_bounded_in_time_number_and_headers() -> None:
    connections = Connections(maximum=10, idle_seconds=20, header_seconds=3, request_seconds=6)
    assert client_traffic_policy(METADATA, connections, 2)["spec"] == {
        "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "modelway"}],
        "headers": {
            "requestID": "PreserveOrGenerate",
            "earlyRequestHeaders": {"remove": ["x-modelway-client", "x-modelway-assignment"]},
            "lateResponseHeaders": {"addIfAbsent": [{"name": "x-request-id", "value": "%REQ(X-REQUEST-ID)%"}]},
        },
        "path": {"escapedSlashesAction": "RejectRequest"},
        "timeout": {
            "http": {
                "requestHeadersReceivedTimeout": "3s",
                "requestReceivedTimeout": "6s",
                "idleTimeout": "20s",
            }
        },
        "connection": {"connectionLimit": {"value": 10}},
        "clientIPDetection": {"xForwardedFor": {"numTrustedHops": 2}},
    }


def test_forwarded_addresses_are_not_believed_without_a_trusted_proxy() -> None:
    assert "clientIPDetection" not in client_traffic_policy(METADATA, Connections(), 0)["spec"]


def test_what_tls_adds_keeps_the_rest() -> None:
    more = {"tls": {"minVersion": "1.3"}, "headers": {"lateResponseHeaders": {"set": [{"name": "a", "value": "b"}]}}}
    spec = client_traffic_policy(METADATA, Connections(), 0, more)["spec"]
    assert spec["tls"] == {"minVersion": "1.3"}
    assert set(spec["headers"]["lateResponseHeaders"]) == {"addIfAbsent", "set"}
    assert spec["headers"]["requestID"] == "PreserveOrGenerate"


def test_every_error_of_the_gateway_has_the_server_s_shape_and_says_when_to_come_back() -> None:
    (patch,) = objects()["errors"]["spec"]["jsonPatches"]
    assert patch["name"] == "modelway-gateway/modelway/http"
    assert patch["operation"]["path"] == "/local_reply_config"
    *found, unrouted, direct = patch["operation"]["value"]["mappers"]
    *fits, without_route = unrouted["filter"]["and_filter"]["filters"]
    assert without_route == {"response_flag_filter": {"flags": ["NR"]}}
    assert direct["filter"] == fits[0]
    # A route that answers by itself says what is wrong; nothing else has a body.
    assert direct["body_format_override"]["json_format"]["error"] == "%LOCAL_REPLY_BODY%"
    mappers = {
        mapper["filter"]["status_code_filter"]["comparison"]["value"]["default_value"]: mapper
        for mapper in (*found, {**unrouted, "filter": fits[0]})
    }
    assert set(mappers) == set(SENTENCES) >= {400, 401, 403, 404, 408, 413, 429, 431, 503, 504}
    for status, mapper in mappers.items():
        assert mapper["body_format_override"]["json_format"] == {
            "error": SENTENCES[status],
            "request_id": "%REQ(X-REQUEST-ID)%",
        }
        headers = {each["header"]["key"]: each["header"]["value"] for each in mapper["headers_to_add"]}
        assert headers["x-request-id"] == "%REQ(X-REQUEST-ID)%"
        assert headers.get("retry-after") == ("1" if status in (429, 503) else None)


def test_every_request_counts_by_route_and_status_whoever_answered() -> None:
    plain, secure = (
        made["route-metrics"]["spec"]["jsonPatches"] for made in (objects(), objects(tls={"hosts": ["192.0.2.7"]}))
    )
    assert [patch["name"].rpartition("/")[2] for patch in (*plain, *secure)] == ["http", "http", "https"]
    operation = plain[0]["operation"]
    assert (operation["op"], operation["path"]) == ("add", "/access_log/-")
    logger = operation["value"]["typed_config"]
    (counter,) = logger["counters"]
    assert f"envoy_{logger['stats_scope']['prefix']}_{counter['stat']['name']}" == ROUTE_REQUESTS
    assert {tag["name"]: tag["value_format"] for tag in counter["stat"]["tags"]} == {
        "route": "%ROUTE_NAME%",
        "code": "%RESPONSE_CODE%",
    }
    assert counter["value_fixed"] == 1


def test_the_log_has_the_client_and_neither_key_nor_query() -> None:
    (setting,) = access_log()["settings"]
    fields = setting["format"]["json"]
    assert fields["client"] == "%REQ(X-MODELWAY-CLIENT)%"
    assert fields["traceparent"] == "%REQ(TRACEPARENT)%"
    text = " ".join(fields.values()).upper()
    assert [word for word in ("API-KEY", "(AUTHORIZATION)", "COOKIE", "PATH(WQ") if word in text] == []
    proxy = objects()["proxy"]["spec"]
    assert proxy["telemetry"]["accessLog"] == access_log()


def test_the_controller_has_the_two_extensions_that_are_used() -> None:
    values = chart_values(gateway_spec("gateway", {"address": "a", "models_namespaces": ["m"]}))
    assert values["config"]["envoyGateway"]["extensionApis"] == {"enableEnvoyPatchPolicy": True, "enableLua": True}


@pytest.mark.parametrize(("seen", "policy"), [(False, "Cluster"), (True, "Local")])
def test_addresses_survive_where_they_are_needed(seen: bool, policy: str) -> None:
    service = objects(client_addresses=seen)["proxy"]["spec"]["provider"]["kubernetes"]["envoyService"]
    assert service["externalTrafficPolicy"] == policy


def test_the_gateway_inside_is_a_whole_one_without_a_node_port() -> None:
    inside = {role: made for role, made in objects(internal=True).items() if role.startswith("internal-")}
    assert set(inside) == {
        f"internal-{role}"
        for role in ("proxy", "gateway", "traffic-policy", "client-policy", "errors", "route-metrics")
    }
    assert {made["metadata"]["name"] for made in inside.values()} == {
        *("modelway-internal", "modelway-internal-route-metrics")
    }
    gateway = inside["internal-gateway"]["spec"]
    assert gateway["gatewayClassName"] == "modelway"
    assert gateway["infrastructure"]["parametersRef"]["name"] == "modelway-internal"
    (patch,) = inside["internal-errors"]["spec"]["jsonPatches"]
    assert patch["name"] == "modelway-gateway/modelway-internal/http"


def test_pods_have_one_url_for_internal_models() -> None:
    spec = gateway_spec("gateway", {"address": "a", "models_namespaces": ["m"], "internal": True})
    assert internal_url(spec) == "http://modelway-internal.modelway-gateway.svc.cluster.local"
