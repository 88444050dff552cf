"""What KEDA asks Prometheus, answered by Prometheus' own engine (promtool)."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from modelway.serving.autoscaling import autoscaler
from modelway.serving.autoscaling_checks import Autoscaling

from tools.progress import Progress
from tools.toolchain import ensure

ROUTE = (
    'envoy_modelway_route_requests{{job="gateway",pod="{pod}",route="httproute/m/{name}/rule/0/match/0/*",code="503"}}'
)
MODEL = 'model="iris",version="v1"'
GATEWAY_UP = {"series": 'up{job="gateway",pod="p"}', "values": "1x40"}
BUSY = Autoscaling(1, 5, metric="inFlight", in_flight_requests_per_pod=4)
QUEUED = Autoscaling(1, 5, metric="queue", queued_rows_per_pod=4)
SLOW = Autoscaling(1, 5, metric="latency", latency_seconds=0.1)
ASLEEP = Autoscaling(0, 5, metric="inFlight", in_flight_requests_per_pod=4, waking_routes=("iris-v1", "iris-split"))


def queries(autoscaling: Autoscaling) -> list[str]:
    made = autoscaler({"name": "iris-v1", "namespace": "m"}, "iris", "v1", autoscaling)
    return [trigger["metadata"]["query"] for trigger in made["spec"]["triggers"]]


def one(value: float) -> list[dict[str, Any]]:
    return [{"labels": "{}", "value": value}]


def route(name: str, values: str, pod: str = "p") -> dict[str, str]:
    return {"series": ROUTE.format(pod=pod, name=name), "values": values}


def server(series: str, values: str, *labels: str) -> dict[str, str]:
    return {"series": f"{series}{{{','.join((MODEL, *labels))}}}", "values": values}


CASES: dict[str, tuple[str, list[dict[str, str]], str, list[dict[str, Any]]]] = {
    "the first request of all wakes": (
        queries(ASLEEP)[1], [GATEWAY_UP, route("iris-v1", "_x10 1x30")], "1m", one(1)),
    "no request in the last minute does not": (
        queries(ASLEEP)[1], [GATEWAY_UP, route("iris-v1", "_x10 1x30")], "2m5s", one(0)),
    "no request ever does not": (queries(ASLEEP)[1], [GATEWAY_UP], "2m", one(0)),
    "all routes and proxies count": (
        queries(ASLEEP)[1],
        [GATEWAY_UP, route("iris-split", "5x18 7x22"), route("iris-v1", "5x18 6x22", "q"), route("iris-v2", "0+9x40")],
        "2m",
        one(3),
    ),
    "a proxy that began anew counts nothing twice": (
        queries(ASLEEP)[1], [GATEWAY_UP, route("iris-v1", "50x18 2x22")], "2m", one(0)),
    "a look that failed a minute ago wakes nothing": (
        queries(ASLEEP)[1],
        [GATEWAY_UP, route("iris-v1", "5x10 stale stale 5x28")],
        "2m",
        one(0),
    ),
    "no figures of the gateway are no answer": (queries(ASLEEP)[1], [], "2m", []),
    "no pods are none in flight while the gateway is seen": (queries(ASLEEP)[0], [GATEWAY_UP], "2m", one(0)),
    "two pods share what is in flight": (
        queries(BUSY)[0],
        [server("modelway_request_duration_seconds_sum", f"0+{step}x40", f'pod="{pod}"') for pod, step in
         (("a", 10), ("b", 5))],
        "2m",
        one(3),
    ),
    "no figures of the pods are no answer": (queries(BUSY)[0], [GATEWAY_UP], "2m", []),
    "rows that wait are averaged": (
        queries(QUEUED)[0], [server("modelway_queue_rows", "0 20 0 20 0 20 0 20 0 20 0 20 0 20 0 20 0 20 0 20")], "1m",
        one(10)),
    "a quantile of the last minute": (
        queries(SLOW)[0],
        [server("modelway_request_duration_seconds_bucket", f"0+{step}x40", f'le="{le}"') for le, step in
         (("0.1", 90), ("0.2", 100), ("+Inf", 100))],
        "2m",
        one(0.15),
    ),
    "no requests are no latency": (
        queries(SLOW)[0],
        [server("modelway_request_duration_seconds_bucket", "7x40", f'le="{le}"') for le in ("0.1", "+Inf")]
        + [server("modelway_request_duration_seconds_count", "7x40")],
        "2m",
        one(0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_answer_is(name: str, tmp_path: Path) -> None:
    query, series, at, samples = CASES[name]
    expected = {"expr": f"round({query}, 0.001)", "eval_time": at, "exp_samples": samples}
    test = {"interval": "5s", "input_series": series, "promql_expr_test": [expected]}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump({"evaluation_interval": "5s", "tests": [test]}))
    promtool = ensure(["promtool"], Progress())["promtool"]
    result = subprocess.run(
        [promtool.path, "test", "rules", "tests.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
