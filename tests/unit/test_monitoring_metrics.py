"""What is scraped of a proxy is what rules, dashboards, scaling and experiments read, and little more."""

import json
import re
from pathlib import Path

import pytest
from modelway.monitoring.config import GATEWAY_METRICS, prometheus_rules
from modelway.monitoring.dashboards import dashboards
from modelway.monitoring.slo import Latency, Slo

from tools.paths import PROJECT

LABELS = {"envoy_cluster_name", "envoy_response_code", "envoy_response_code_class", "envoy_http_conn_manager_prefix"}
RULES = prometheus_rules([Slo("iris", "v1", "m", split_position=0, latency=Latency(99, 0.1))])


def source(*folders: str) -> str:
    files: list[Path] = [file for folder in folders for file in (PROJECT / folder).rglob("*.py")]
    return "\n".join(file.read_text() for file in files)


@pytest.mark.parametrize(
    "queries",
    [
        json.dumps(RULES),
        json.dumps(dashboards()),
        source("components/modelway/serving", "components/modelway/gateway/", "images/rollout-judge/rollout_judge"),
    ],
    ids=["rules", "dashboards", "scaling and experiments"],
)
def test_every_metric_of_a_proxy_that_is_read_is_scraped(queries: str) -> None:
    read = set(re.findall(r"\b(envoy_(?:cluster|http|modelway|listener|server)_\w+)", queries)) - LABELS
    read -= {name for name in read if name.endswith("_")}
    assert read
    assert [name for name in sorted(read) if not re.fullmatch(GATEWAY_METRICS, name)] == []


@pytest.mark.parametrize("name", ["envoy_cluster_upstream_cx_length_ms_bucket", "envoy_cluster_lb_healthy_panic"])
def test_what_nobody_reads_is_left_at_the_proxy(name: str) -> None:
    assert re.fullmatch(GATEWAY_METRICS, name) is None
