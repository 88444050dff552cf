"""How many pods a version has: what is refused, what wakes it, and that KEDA is there only where it is needed."""

import re
from typing import Any

import pytest
from modelway.serving.autoscaling import wake_query
from modelway.serving.autoscaling_checks import TARGETS, Autoscaling, waking_routes
from modelway.serving.model_server import AutoscalingArgs

from infra.autoscaling import autoscaling_args, installs_keda, sleepers, sleeping_sentence, uses_keda
from infra.config_schema import AutoscalingSettings
from infra.settings import load
from tests.unit.test_settings import DIGEST, config, sentences, versions

BOUNDS = {"minReplicas": 1, "maxReplicas": 3}
QUEUE = {**BOUNDS, "metric": "queue", "queuedRowsPerPod": 10}
SLEEPS = {**QUEUE, "minReplicas": 0}


def stack(*autoscalings: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A stack whose versions scale so; the first has all the weight."""
    entries = [
        {"name": f"v{number}", "autoscaling": each, "weight": 0 if number else 100}
        for number, each in enumerate(autoscalings)
    ]
    return config(**{"models": versions(*entries), **changes})


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        stack({**BOUNDS, "metric": "memory"}),
        "modelway:models iris.v0.autoscaling.metric: unknown value: got 'memory', allowed cpu, inFlight, queue, latency; "
        "correct it.",
    ),
    (
        stack({**BOUNDS, "minReplicas": -1}),
        "modelway:models iris.v0.autoscaling.minReplicas: out of range: got -1, allowed 0 to 1000; change it.",
    ),
    (
        stack({**BOUNDS, "minReplicas": 0}),
        "modelway:models iris.v0.autoscaling.minReplicas: nothing would wake it: got 0 with metric cpu, allowed 0 only "
        "with metric inFlight, queue or latency, since no pod uses no CPU for ever; change metric.",
    ),
    (
        stack({**BOUNDS, "metric": "latency"}),
        "modelway:models iris.v0.autoscaling.latencySeconds: missing: got nothing, allowed what metric latency aims at; "
        "set latencySeconds.",
    ),
    (
        stack({**QUEUE, "cpuUtilizationPercent": 50}),
        "modelway:models iris.v0.autoscaling.cpuUtilizationPercent: not used: got cpuUtilizationPercent with metric "
        "queue, allowed only queuedRowsPerPod; remove cpuUtilizationPercent.",
    ),
    (
        stack({**BOUNDS, "idleSeconds": 300}),
        "modelway:models iris.v0.autoscaling.idleSeconds: not used: got 300, allowed only with minReplicas 0; remove "
        "idleSeconds.",
    ),
    (
        stack({**SLEEPS, "idleSeconds": 30}),
        "modelway:models iris.v0.autoscaling.idleSeconds: out of range: got 30, allowed 60 to 86400; change it.",
    ),
    (
        stack({**BOUNDS, "metric": "latency", "latencySeconds": 0.1, "latencyQuantile": 1.5}),
        "modelway:models iris.v0.autoscaling.latencyQuantile: out of range: got 1.5, allowed 0.5 to 0.999; change it.",
    ),
    (
        stack({**BOUNDS, "metric": "latency", "latencySeconds": 0.1}, autoscaling={"metrics": "pods"}),
        "modelway:models iris.v0.autoscaling.metric: not known to an adapter of pods: got latency, allowed inFlight or "
        "queue, since a quantile is no metric of one pod; change metric, or let KEDA scale.",
    ),
    (
        stack(SLEEPS, autoscaling={"metrics": "pods"}),
        "modelway:models iris.v0.autoscaling.minReplicas: nothing would wake it: got 0, allowed 0 only with KEDA, since "
        "the autoscaler of Kubernetes keeps one pod; write 1, or let KEDA scale.",
    ),
    (
        stack(QUEUE, autoscaling={"metrics": "pods", "installKeda": False}),
        "modelway:autoscaling.installKeda: not used: got metrics pods, allowed only with metrics keda; remove "
        "installKeda.",
    ),
    (
        stack(BOUNDS, autoscaling={"installKeda": False}),
        "modelway:autoscaling.installKeda: not used: got installKeda, allowed only where a version has autoscaling by "
        "metric inFlight, queue or latency; remove installKeda.",
    ),
    (
        stack(QUEUE, monitoring={"enabled": False}),
        "modelway:monitoring.enabled: KEDA asks Prometheus: got false, allowed monitoring enabled, or metrics pods "
        "where the cluster has an adapter; enable monitoring.",
    ),
    (
        stack(BOUNDS, images={"keda": {"operator": DIGEST, "metricsServer": DIGEST}}),
        "modelway:images.keda: not used: got images, allowed only where the stack installs KEDA; remove keda.",
    ),
    (
        stack(QUEUE, environment="production"),
        "modelway:images.keda.metricsServer: no digest in a production stack: got None, allowed REPOSITORY@sha256:<64 "
        "hex digits>; set images.keda.metricsServer, or installKeda to false where the cluster has KEDA.",
    ),
    (
        stack(SLEEPS, gateway={"className": "other"}),
        "modelway:models iris.v0.autoscaling.minReplicas: nothing would wake it: got 0 with class other, allowed 0 only "
        "with gateway class modelway, whose counts wake it; write 1 or more.",
    ),
    (
        config(models=versions({"name": "v1", "weight": 60}, {"name": "v2", "weight": 40, "autoscaling": SLEEPS})),
        "modelway:models iris.v2.autoscaling.minReplicas: part of the split: got 0 with weight 40, allowed 0 only with "
        "weight 0 or 100, since its share alone would get 503; write 1 or more.",
    ),
    (
        config(models=versions({"name": "v1"}, {"name": "v2", "shadow": True, "autoscaling": SLEEPS})),
        "modelway:models iris.v2.autoscaling.minReplicas: no pod to copy to: got 0 of a shadow, allowed 1 or more; "
        "write 1 or more.",
    ),
    (
        config(models=versions({"name": "v1", "runtime": "triton", "autoscaling": QUEUE})),
        "modelway:models iris.v1.autoscaling.metric: no such figure of this runtime: got queue with runtime triton, "
        "allowed cpu, or runtime modelway, whose figures are known; write cpu.",
    ),
]


@pytest.mark.parametrize(("raw", "sentence"), REFUSED, ids=[sentence.split(": got")[0] for _, sentence in REFUSED])
def test_what_cannot_work_is_refused_in_one_sentence(raw: dict[str, Any], sentence: str) -> None:
    assert sentence in sentences(raw)


def test_the_stack_and_the_component_have_the_same_fields() -> None:
    ground = {"source", "prometheus_url", "waking_routes"}
    assert set(AutoscalingSettings.model_fields) == set(AutoscalingArgs.__annotations__) - ground
    assert set(AutoscalingArgs.__annotations__) == set(Autoscaling.__dataclass_fields__)
    assert set(TARGETS.values()) < set(AutoscalingArgs.__annotations__)


@pytest.mark.parametrize(
    ("raw", "used", "installed"),
    [
        (stack(BOUNDS), False, False),
        (stack(BOUNDS, QUEUE), True, True),
        (stack(QUEUE, autoscaling={"installKeda": False}), True, False),
        (stack(QUEUE, autoscaling={"metrics": "pods"}), False, False),
    ],
)
def test_keda_comes_only_where_a_version_needs_it(raw: dict[str, Any], used: bool, installed: bool) -> None:
    settings = load(raw, "test")
    assert (uses_keda(settings), installs_keda(settings)) == (used, installed)


def test_a_sleeping_version_is_said_with_what_its_users_meet() -> None:
    settings = load(stack({**SLEEPS, "idleSeconds": 90}, QUEUE), "test")
    assert [sleeping_sentence(*each) for each in sleepers(settings)] == [
        "iris v0 has no pods after 90 s without a request: the gateway then answers 503 with Retry-After until a pod is "
        "ready; such a request is not kept, clients have to ask again."
    ]


def test_what_the_stack_leaves_out_is_left_to_the_component() -> None:
    settings = load(stack(QUEUE, BOUNDS), "test")
    first, second = (version.autoscaling for version in settings.models[0].versions)
    assert first is not None
    assert second is not None
    queue = {"min_replicas": 1, "max_replicas": 3, "metric": "queue", "queued_rows_per_pod": 10.0, "source": "keda"}
    assert autoscaling_args(settings, first) == queue
    assert autoscaling_args(settings, second) == {"min_replicas": 1, "max_replicas": 3}


@pytest.mark.parametrize(
    ("weight", "aliases", "routes"),
    [
        (100, {}, ["iris-v1", "iris-split"]),
        (0, {"next": "v1", "champion": "v2"}, ["iris-v1", "iris-next"]),
    ],
)
def test_a_version_is_woken_by_every_route_that_leads_to_it(
    weight: int, aliases: dict[str, str], routes: list[str]
) -> None:
    assert waking_routes("iris", "v1", weight, aliases) == routes
    query = wake_query("modelway-models", routes)
    (pattern,) = set(re.findall(r'route=~"([^"]+)"', query))
    for route in routes:
        assert re.fullmatch(pattern, f"httproute/modelway-models/{route}/rule/0/match/0/*")
    for other in ("iris-v2", "iris-v11", "other-split", "iris-v1/extra"):
        assert not re.fullmatch(pattern, f"httproute/other/{other}/rule/0/match/0/*")
    assert not re.fullmatch(pattern, "httproute/modelway-models/iris-v2/rule/0/match/0/*")
