"""What `modelway status` asks, answered by a real Prometheus over the real page of a model server."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelway.monitoring.config import prometheus_rules
from modelway.monitoring.slo import Slo

from infra.observed import ANSWERS, NO_DATA, PROXY, Facts, observe
from tests.engine.replay import NAMESPACE, Prometheus, Target, prometheus

PAGE = """\
# TYPE modelway_requests_total counter
modelway_requests_total{code="200",model="iris",version="v1"} 540
modelway_requests_total{code="500",model="iris",version="v1"} 60
# TYPE modelway_request_duration_seconds histogram
modelway_request_duration_seconds_bucket{code="200",le="0.001",model="iris",version="v1"} 600
modelway_request_duration_seconds_bucket{code="200",le="+Inf",model="iris",version="v1"} 600
modelway_request_duration_seconds_sum{code="200",model="iris",version="v1"} 0.3
modelway_request_duration_seconds_count{code="200",model="iris",version="v1"} 600
"""
CLUSTER = f'envoy_cluster_name="httproute/{NAMESPACE}/iris-split/rule/0/backend/0"'
PROXY_PAGE = f"""\
# TYPE envoy_cluster_upstream_rq counter
envoy_cluster_upstream_rq{{envoy_response_code="200",{CLUSTER}}} 540
envoy_cluster_upstream_rq{{envoy_response_code="500",{CLUSTER}}} 60
"""
TARGETS = [
    Target("model-servers", {"namespace": NAMESPACE, "pod": "a", "model": "iris", "version": "v1"}, PAGE),
    Target("gateway", {"namespace": "modelway-gateway", "pod": "p"}, PROXY_PAGE),
]
KUBECTL = f"""
import sys, urllib.request
path = sys.argv[4].removeprefix({PROXY!r})
sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1] + "/api/v1" + path).read())
"""
"""Stands for the API server's proxy."""
DEADLINE_SECONDS = 90.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    rules = prometheus_rules([Slo("iris", "v1", NAMESPACE, split_position=0)])
    with prometheus(tmp_path_factory.mktemp("prometheus"), TARGETS, rules) as made:
        yield made


def test_rates_errors_and_alerts_are_what_the_pages_say(running: Prometheus, tmp_path: Path) -> None:
    script = tmp_path / "kubectl.py"
    script.write_text(KUBECTL)
    kubectl = [sys.executable, str(script), running.url]
    assert observe(kubectl, ["wine"]).monitoring == NO_DATA
    deadline = time.monotonic() + DEADLINE_SECONDS
    found = observe(kubectl, ["iris"])
    # A rate needs two scrapes and then its rule; an alert of the gateway two scrapes and two rules.
    while not (found.alerts and ("iris", "v1") in found.facts):
        assert time.monotonic() < deadline, found
        time.sleep(0.5)
        found = observe(kubectl, ["iris"])
    facts = found.facts["iris", "v1"]
    assert found.monitoring == ANSWERS
    assert 0 < (facts.requests_per_second or 0) <= 10.5  # 10 once the minute is full
    assert facts.error_share == pytest.approx(0.1, rel=0.01)
    assert (facts.p50_seconds, facts.p99_seconds) == pytest.approx((0.0005, 0.00099))
    assert facts == Facts(facts.requests_per_second, facts.error_share, facts.p50_seconds, facts.p99_seconds)
    alert = found.alerts[0]
    assert (alert.name, alert.severity, alert.model, alert.version) == ("ModelAvailabilityPage", "page", "iris", "v1")
    assert alert.runbook.endswith("model-availability.md")
    assert 0 <= time.time() - alert.since < DEADLINE_SECONDS
    assert running.number("sum(prometheus_rule_evaluation_failures_total) or vector(0)") == 0
