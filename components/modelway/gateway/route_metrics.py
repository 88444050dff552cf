"""EnvoyPatchPolicy of one Gateway: a counter of every request by its route and status, whoever answered.

Envoy's own figures of a route or a cluster leave out what no cluster answered: Envoy Gateway 1.9.1 makes a direct
response of a route whose backends have no pods, and Envoy counts it nowhere by route. Its access logger `stats` counts
every line that would be logged. Envoy Gateway has no field for that logger; without the patch the counter is missing,
nothing else.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from modelway._common import Manifest
from modelway.gateway.local_reply import LISTENER, MANAGER
from modelway.gateway.policy import API_VERSION

ROUTE_REQUESTS = "envoy_modelway_route_requests"
"""Its name in Prometheus; labels `route` (`httproute/NAMESPACE/NAME/rule/…`, empty without a route) and `code`."""
_TAGS = {"route": "%ROUTE_NAME%", "code": "%RESPONSE_CODE%"}


def route_metrics_policy(metadata: Mapping[str, Any], gateway: str, listeners: Sequence[str]) -> Manifest:
    """The EnvoyPatchPolicy for listeners, by their names, of the Gateway `gateway` in the same namespace."""
    counter = {
        "stat": {
            "name": "route_requests",
            "tags": [{"name": name, "value_format": value} for name, value in _TAGS.items()],
        },
        "value_fixed": 1,
    }
    logger = {
        "name": "envoy.access_loggers.stats",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
            "stats_scope": {"prefix": "modelway"},
            "counters": [counter],
        },
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "EnvoyPatchPolicy",
        "metadata": dict(metadata),
        "spec": {
            "targetRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": gateway},
            "type": "JSONPatch",
            "jsonPatches": [
                {
                    "type": LISTENER,
                    "name": f"{metadata['namespace']}/{gateway}/{listener}",
                    "operation": {"op": "add", "jsonPath": MANAGER, "path": "/access_log/-", "value": logger},
                }
                for listener in listeners
            ],
        },
    }
