"""What a real Prometheus sends on to Google Cloud: what the service is said to take, and nothing else."""

import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml
from modelway.monitoring.config import ScrapeSpec, prometheus_rules
from modelway.monitoring.objects import MonitoringSpec, config_of
from modelway.monitoring.remote_write import RemoteWrite, remote_write_features
from modelway.monitoring.slo import Latency, Slo
from server_process import free_port

from tests.engine.remote_write_wire import GAUGE, Series, series_of
from tests.engine.replay import NAMESPACE, Prometheus, Target, await_ready
from tests.engine.replay import prometheus as replayed_prometheus
from tests.engine.test_observed import TARGETS
from tests.loopback import serving
from tools.progress import Progress
from tools.toolchain import ensure

pytestmark = pytest.mark.engine
SECONDS = 60.0
EACH = 'label_replace({job="prometheus", __name__!~".*:.*"}, "of", "$1", "__name__", "(.+)")'
"""A series of its own for each that Prometheus has of itself, which are more than one request may hold."""
CPU = "model_version:container_cpu_cores:rate1m"
BUDGET = "model_version:modelway_absent:bool"
Request = tuple[dict[str, str], list[Series]]


@pytest.fixture
def received() -> Iterator[tuple[str, list[Request]]]:
    """A receiver's address, and what came."""
    found: list[Request] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.append((dict(self.headers), series_of(body)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with serving(Receiver) as port:
        yield f"http://127.0.0.1:{port}/write", found


def configuration(remote: RemoteWrite, own: str, rules: Path) -> dict[str, Any]:
    """As in the cluster, but scraping itself, and without the credentials of a cloud."""
    config = config_of(MonitoringSpec("m", "i", ScrapeSpec(("models",), "gateway"), remote_write=remote))
    (entry,) = config["remote_write"]
    assert entry.pop("google_iam") == {}
    itself = {"job_name": "prometheus", "static_configs": [{"targets": [own]}]}
    often = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    return {**config, "global": often, "scrape_configs": [itself], "rule_files": [str(rules)]}


def test_google_gets_recorded_series_as_gauges_in_requests_that_it_takes(
    tmp_path: Path, received: tuple[str, list[Request]]
) -> None:
    url, requests = received
    remote = RemoteWrite(url, google_location="europe-west4", cluster="models")
    binary = ensure(["prometheus"], Progress())["prometheus"].path
    own = f"127.0.0.1:{free_port()}"
    rules = [{"name": "only", "rules": [{"record": "each:copy", "expr": EACH}]}]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": rules}))
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(configuration(remote, own, tmp_path / "rules.yml")))
    flags = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    flags += [f"--enable-feature={name}" for name in remote_write_features(remote)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([binary, *flags, f"--web.listen-address={own}"], stdout=log, stderr=log)
        try:
            await_ready(f"http://{own}/-/ready", process, tmp_path / "log")
            deadline = time.monotonic() + SECONDS
            while sum(len(series) for _, series in requests) < 1000:
                assert time.monotonic() < deadline, (tmp_path / "log").read_text()[-2000:]
                time.sleep(0.1)
        finally:
            process.terminate()
            process.wait()
    message = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
    assert {headers["Content-Type"] for headers, _ in requests} == {message}
    assert max(len(series) for _, series in requests) == 200
    every = [each for _, series in requests for each in series]
    assert {each.labels["__name__"] for each in every} == {"each:copy"}
    assert {each.type for each in every} == {GAUGE}
    assert {(each.labels["cluster"], each.labels["location"]) for each in every} == {("models", "europe-west4")}


CONTAINERS = """\
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="server",namespace="modelway-models",pod="a"} 30
# TYPE container_memory_working_set_bytes gauge
container_memory_working_set_bytes{container="server",namespace="modelway-models",pod="a"} 1000
"""
RECORDED = '{__name__=~".+:.+"}'


def recorded(prometheus: Prometheus) -> set[tuple[tuple[str, str], ...]]:
    return {tuple(sorted(each["metric"].items())) for each in prometheus.query(RECORDED)}


def test_types_of_series_change_nothing_that_is_recorded(tmp_path: Path) -> None:
    made_rules = prometheus_rules([Slo("iris", "v1", NAMESPACE, split_position=0, latency=Latency(99, 0.1))])
    # What is recorded does not depend on how often; in a minute, a group of a minute may run once or not at all.
    rules = {"groups": [{**group, "interval": "5s"} for group in made_rules["groups"]]}
    targets = [*TARGETS, Target("containers", {}, CONTAINERS)]
    for name in ("plain", "typed"):
        (tmp_path / name).mkdir()
    typed_too = remote_write_features(RemoteWrite("", google_location="europe-west4"))
    with (
        replayed_prometheus(tmp_path / "plain", targets, rules) as plain,
        replayed_prometheus(tmp_path / "typed", targets, rules, typed_too) as typed,
    ):
        deadline = time.monotonic() + SECONDS
        while not (recorded(plain) == recorded(typed) and plain.query(CPU) and plain.query(BUDGET)):
            assert time.monotonic() < deadline, recorded(plain) ^ recorded(typed)
            time.sleep(0.5)
        assert typed.query('modelway_requests_total{__type__="counter"}')
        for made in (plain, typed):
            assert made.number("sum(prometheus_rule_evaluation_failures_total) or vector(0)") == 0
