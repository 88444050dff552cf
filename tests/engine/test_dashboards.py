"""Queries of the dashboards: parsed by Prometheus' own tool, over series that the real proxy shows."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from modelway.monitoring.dashboards import NAMES, dashboards

from tests.engine.apiserver import free_port
from tests.unit.promql import metrics
from tests.unit.test_dashboards import expressions
from tools.progress import Progress
from tools.toolchain import ensure

HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "envoy.extensions.filters.http.router.v3.Router"
CLUSTER = "httproute/models/iris-split/rule/0"
START_SECONDS = 60


@pytest.mark.parametrize("name", NAMES)
def test_prometheus_parses_every_query(name: str, tmp_path: Path) -> None:
    rules = [{"record": f"q{number}", "expr": expr} for number, expr in enumerate(expressions(dashboards()[name]))]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": name, "rules": rules}]}))
    promtool = ensure(["promtool"], Progress())["promtool"].path
    command = [str(promtool), "check", "rules", "rules.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def config(admin: int, port: int) -> dict[str, object]:
    def at(number: int) -> dict[str, object]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}

    host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": CLUSTER}}]}
    router = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"type.googleapis.com/{ROUTER}"}}
    manager = {
        "@type": f"type.googleapis.com/{HCM}",
        "stat_prefix": "http-10080",
        "route_config": {"virtual_hosts": [host]},
        "http_filters": [router],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": at(admin)}}]}]
    cluster = {"name": CLUSTER, "load_assignment": {"cluster_name": CLUSTER, "endpoints": endpoints}}
    listener = {"address": at(port), "filter_chains": [{"filters": filters}]}
    return {"admin": {"address": at(admin)}, "static_resources": {"listeners": [listener], "clusters": [cluster]}}


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[str]:
    """What the proxy shows to Prometheus after one request went through it."""
    admin, port = free_port(), free_port()
    (tmp_path / "envoy.json").write_text(json.dumps(config(admin, port)))
    program = ensure(["envoy"], Progress())["envoy"].path
    command = [str(program), "-c", "envoy.json", "--disable-hot-restart", "--concurrency", "1"]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log) as envoy:
        try:
            with httpx.Client(trust_env=False) as client:
                deadline = time.monotonic() + START_SECONDS
                text = ""
                # Series of answers appear with the first flush of the statistics after them.
                while "envoy_http_downstream_rq_time_bucket" not in text:
                    assert time.monotonic() < deadline, (tmp_path / "log").read_text()
                    try:
                        client.get(f"http://127.0.0.1:{port}/ready")
                        text = client.get(f"http://127.0.0.1:{admin}/stats/prometheus").text
                    except httpx.TransportError:
                        assert envoy.poll() is None, (tmp_path / "log").read_text()
            yield text
        finally:
            envoy.terminate()


def test_the_proxy_shows_every_series_of_it_that_is_asked_for(shown: str) -> None:
    names = {line.split("{")[0].split(" ")[0] for line in shown.splitlines() if not line.startswith("#")}
    asked = {metric for page in dashboards().values() for expr in expressions(page) for metric in metrics(expr)}
    assert {metric for metric in asked if metric.startswith("envoy_")} - names == set()
