"""How many pods a version has: bounds, what decides between them, and the object that watches it.

CPU is measured by the cluster itself (metrics-server) and needs a HorizontalPodAutoscaler alone. Everything else is
asked of Prometheus by KEDA (`ScaledObject`), or comes from an adapter that the cluster has (metrics of type `Pods`).

A version without pods has no figures of its own, so what wakes it is the gateway's count of requests by route. The
gateway answers 503 with `Retry-After` meanwhile. Missing figures hold the number of pods where it is: a query that
finds nothing is an error to KEDA, which then neither adds nor takes.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from modelway._common import Manifest
from modelway.gateway.route_metrics import ROUTE_REQUESTS
from modelway.serving.autoscaling_checks import Autoscaling, needs_keda

POD_METRICS: Mapping[str, str] = MappingProxyType(
    {"inFlight": "modelway_requests_in_flight", "queue": "modelway_queue_rows"}
)
"""What an adapter serves of each pod."""
DURATION = "modelway_request_duration_seconds"
WINDOW, LATENCY_WINDOW, WAKE_WINDOW, KNOWN_WINDOW = "30s", "1m", "1m", "10m"
POLLING_SECONDS = 5
"""How often KEDA asks, as often as Prometheus looks: what wakes a version waits for both."""
WAKES_ONLY = "1000000"
"""Requests per second and pod that the waking trigger aims at: it says whether there are pods, never how many."""


def autoscaler(metadata: Mapping[str, Any], model: str, version: str, autoscaling: Autoscaling) -> Manifest:
    """The HorizontalPodAutoscaler or the ScaledObject of the Deployment with this metadata."""
    if needs_keda(autoscaling):
        return _scaled_object(metadata, model, version, autoscaling)
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": dict(metadata),
        "spec": {
            "scaleTargetRef": _target(metadata),
            "minReplicas": autoscaling.min_replicas,
            "maxReplicas": autoscaling.max_replicas,
            "metrics": [_metric(autoscaling)],
            "behavior": _behavior(autoscaling),
        },
    }


def _target(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"]}


def _behavior(autoscaling: Autoscaling) -> dict[str, Any]:
    return {"scaleDown": {"stabilizationWindowSeconds": autoscaling.scale_down_stabilization_seconds}}


def _metric(autoscaling: Autoscaling) -> dict[str, Any]:
    if autoscaling.metric == "cpu":
        target: dict[str, Any] = {"type": "Utilization", "averageUtilization": autoscaling.cpu_utilization_percent}
        return {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    target = {"type": "AverageValue", "averageValue": f"{round(autoscaling.target * 1000)}m"}
    return {"type": "Pods", "pods": {"metric": {"name": POD_METRICS[autoscaling.metric]}, "target": target}}


def _scaled_object(metadata: Mapping[str, Any], model: str, version: str, autoscaling: Autoscaling) -> Manifest:
    sleeps = autoscaling.min_replicas == 0
    # A latency is no sum that pods share: the number of pods grows by how far it is above the target.
    kind = "Value" if autoscaling.metric == "latency" else "AverageValue"
    query = _query(model, version, autoscaling)
    triggers = [_trigger(autoscaling, f"{query} or {_NOBODY}" if sleeps else query, f"{autoscaling.target:g}", kind)]
    waits: dict[str, Any] = {}
    if sleeps:
        triggers.append(_trigger(autoscaling, wake_query(metadata["namespace"], autoscaling.waking_routes), WAKES_ONLY))
        waits = {"cooldownPeriod": autoscaling.idle_seconds, "initialCooldownPeriod": autoscaling.idle_seconds}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": dict(metadata),
        "spec": {
            "scaleTargetRef": _target(metadata),
            "pollingInterval": POLLING_SECONDS,
            "minReplicaCount": autoscaling.min_replicas,
            "maxReplicaCount": autoscaling.max_replicas,
            **waits,
            "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(autoscaling)}},
            "triggers": triggers,
        },
    }


def _trigger(autoscaling: Autoscaling, query: str, threshold: str, kind: str = "AverageValue") -> dict[str, Any]:
    return {
        "type": "prometheus",
        "metricType": kind,
        "metadata": {
            "serverAddress": autoscaling.prometheus_url,
            "query": query,
            "threshold": threshold,
            "activationThreshold": "0",
            "ignoreNullValues": "false",
        },
    }


_NOBODY = '0 * sum(up{job="gateway"} == 1)'
"""Zero as long as Prometheus sees the gateway: without pods nothing else says that there are none on purpose."""


def _query(model: str, version: str, autoscaling: Autoscaling) -> str:
    which = f'{{model="{model}",version="{version}"}}'
    if autoscaling.metric == "inFlight":
        # Little's law: seconds spent on requests per second. A gauge that is looked at now and then misses short ones.
        return f"sum(rate({DURATION}_sum{which}[{WINDOW}]))"
    if autoscaling.metric == "queue":
        return f"sum(avg_over_time({POD_METRICS['queue']}{which}[{WINDOW}]))"
    buckets = f"sum by (le) (rate({DURATION}_bucket{which}[{LATENCY_WINDOW}]))"
    # Without requests the quantile is no number, which is not the same as no figures.
    idle = f"0 * sum(rate({DURATION}_count{which}[{LATENCY_WINDOW}]))"
    return f"(histogram_quantile({autoscaling.latency_quantile:g}, {buckets}) >= 0) or {idle}"


def wake_query(namespace: str, routes: Sequence[str]) -> str:
    """Requests in the last minute, as the gateway counted them, on every route that leads to the version.

    A counter's first sample counts too, which `increase` leaves out: the first request of all has to wake the version.
    """
    route = f'{ROUTE_REQUESTS}{{route=~"httproute/{namespace}/({"|".join(routes)})/.*"}}'
    # The last known one: a look that failed a minute ago would make everything seem new.
    before = f"(last_over_time({route}[{KNOWN_WINDOW}] offset {WAKE_WINDOW}) or {route} * 0)"
    return f"sum(clamp_min({route} - {before}, 0)) or {_NOBODY}"
