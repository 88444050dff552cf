"""EnvoyPatchPolicy of one Gateway: errors that the gateway makes look like those of the model server.

`responseOverride` of a BackendTrafficPolicy reaches routed requests only and writes a client's request id into JSON as
it came. Envoy's own `local_reply_config` knows every error, also one without a route or of a malformed request, and
quotes what it writes. Envoy Gateway 1.9.1 sets it by a patch only; without the patch errors are plain text again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from modelway._common import Manifest
from modelway.gateway.policy import API_VERSION

SENTENCES = {
    400: "the request is malformed",
    401: "the request has no valid key or token",
    403: "the client may not ask here",
    404: "nothing is served under this path",
    408: "the request did not arrive in time",
    413: "the body is too large",
    426: "the protocol is too old",
    429: "too many requests",
    431: "the headers are too large",
    500: "the gateway failed",
    502: "the server gave no valid answer",
    503: "no server is ready",
    504: "the server did not answer in time",
}
RETRY_AFTER_SECONDS = {429: 1, 503: 1}
"""Limits are counted by the second, and a pod that is ready is met within one."""
REQUEST_ID = "%REQ(X-REQUEST-ID)%"
DIRECT = "%LOCAL_REPLY_BODY%"
"""What a route says by itself: the list of a model's versions. Every other error without a route has none."""
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
MANAGER = "..filters[?(@.name=='envoy.filters.network.http_connection_manager')].typed_config"


def local_reply_policy(metadata: Mapping[str, Any], listeners: Sequence[str]) -> Manifest:
    """The EnvoyPatchPolicy for listeners of the Gateway with the same name and namespace, by their names."""
    name = f"{metadata['namespace']}/{metadata['name']}"
    return {
        "apiVersion": API_VERSION,
        "kind": "EnvoyPatchPolicy",
        "metadata": metadata,
        "spec": {
            "targetRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": metadata["name"]},
            "type": "JSONPatch",
            "jsonPatches": [
                {
                    "type": LISTENER,
                    "name": f"{name}/{listener}",
                    "operation": {
                        "op": "add",
                        "jsonPath": MANAGER,
                        "path": "/local_reply_config",
                        "value": {"mappers": _mappers()},
                    },
                }
                for listener in listeners
            ],
        },
    }


def _mappers() -> list[dict[str, Any]]:
    """The first that fits counts."""
    no_route = {"response_flag_filter": {"flags": ["NR"]}}
    unknown = {"and_filter": {"filters": [_is(404), no_route]}}
    mappers = [_mapper(status, _is(status), sentence) for status, sentence in SENTENCES.items() if status != 404]
    return [*mappers, _mapper(404, unknown, SENTENCES[404]), _mapper(404, _is(404), DIRECT)]


def _is(status: int) -> dict[str, Any]:
    # Envoy wants a runtime key beside the value; nobody sets it.
    value = {"default_value": status, "runtime_key": "modelway.unset"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}


def _mapper(status: int, fits: Mapping[str, Any], sentence: str) -> dict[str, Any]:
    headers = {"x-request-id": REQUEST_ID}
    if seconds := RETRY_AFTER_SECONDS.get(status):
        headers["retry-after"] = str(seconds)
    return {
        "filter": fits,
        "headers_to_add": [
            {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for key, value in headers.items()
        ],
        "body_format_override": {"json_format": {"error": sentence, "request_id": REQUEST_ID}},
    }
