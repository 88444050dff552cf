"""Settings, plans with a horizon, what the judge shows of itself, and its questions to Prometheus."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from pydantic import ValidationError
from rollout_judge.plan import Kind, Metric, least_trials
from rollout_judge.prometheus import HttpPrometheus
from rollout_judge.rate import rate_bounds
from rollout_judge.reading import UnavailableError
from rollout_judge.settings import SettingsError, load
from rollout_judge.telemetry import STALLED_SECONDS, Telemetry, serve
from rollout_testing import World, plan, run

ENVIRONMENT = {
    "MODELWAY_NAMESPACE": "models",
    "MODELWAY_EXPERIMENT": "m-experiment",
    "MODELWAY_PROMETHEUS_URL": "http://prometheus:9090",
    "MODELWAY_GATEWAY_NAMESPACE": "gateway",
}


def test_settings_are_the_environments_with_defaults() -> None:
    found = load(ENVIRONMENT, "judge-0")
    assert (found.state, found.pod, found.look_seconds, found.admin_port) == (
        "m-experiment-state",
        "judge-0",
        5.0,
        9090,
    )


def test_every_bad_variable_is_named() -> None:
    changes = {"MODELWAY_NAMESPACE": "", "MODELWAY_LOOK_SECONDS": "0"}
    with pytest.raises(SettingsError) as caught:
        load({name: value for name, value in (ENVIRONMENT | changes).items() if "PROMETHEUS" not in name}, "judge-0")
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        *("MODELWAY_NAMESPACE", "MODELWAY_PROMETHEUS_URL", "MODELWAY_LOOK_SECONDS"),
    ]
    assert lines[1] == "MODELWAY_PROMETHEUS_URL: it is missing; set it"


def test_errors_and_latency_are_guarded_whatever_the_metrics() -> None:
    judged = plan(metrics=(Metric(kind=Kind.OUTCOME, name="converted"),))
    assert judged.tests == ("outcome:converted", "errors", "latency")
    assert judged.test_alpha == pytest.approx(0.01 / 5)
    assert judged.slow_threshold_seconds == 0.1
    assert plan(metrics=(Metric(kind=Kind.LATENCY, threshold_seconds=0.3),)).slow_threshold_seconds == 0.3


def test_the_least_sample_is_the_first_within_the_margin() -> None:
    least = least_trials(0.01, 0.01)
    assert rate_bounds(0, least, 0.005)[1] <= 0.01 < rate_bounds(0, least - 1, 0.005)[1]


def test_a_horizon_shorter_than_the_sample_is_refused_where_the_rate_is_known() -> None:
    plan(maximum_seconds=300.0)
    plan(maximum_seconds=2000.0, expected_requests_per_second=50.0)
    with pytest.raises(
        ValidationError, match=r"smallest sample: got 300, allowed from \d+ on at 2 requests per second"
    ):
        plan(maximum_seconds=300.0, expected_requests_per_second=2.0)


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_probes_and_metrics_say_where_the_experiment_stands() -> None:
    now = 0.0
    telemetry = Telemetry(lambda: now)
    server = serve(telemetry, 0, "127.0.0.1")
    port = server.server_address[1]
    try:
        assert get(port, "/healthz") == (200, "ok")
        assert get(port, "/readyz")[0] == 503
        assert get(port, "/other")[0] == 404
        telemetry.ready = True
        telemetry.show(run(World(), plan(), 60))
        telemetry.turned(holder=True)
        assert get(port, "/readyz") == (200, "ok")
        text = get(port, "/metrics")[1]
        for line in (
            'modelway_rollout_status{status="running"} 1.0',
            'modelway_rollout_weight_percent{version="v2"} 10.0',
            "modelway_rollout_holder 1.0",
            "modelway_rollout_look_missing 0.0",
        ):
            assert line in text.splitlines()
        assert 'modelway_rollout_evidence{metric="errors"}' in text
        now = STALLED_SECONDS
        assert get(port, "/healthz") == (503, "no turn was finished for a minute")
    finally:
        server.shutdown()
        server.server_close()


class Answers(BaseHTTPRequestHandler):
    """A Prometheus that says what the test wants."""

    status, body = 200, ""
    asked: str = ""

    def do_POST(self) -> None:
        type(self).asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/prefix"
    server.shutdown()
    thread.join()
    server.server_close()


def test_prometheus_is_asked_its_time_and_an_expression(url: str) -> None:
    prometheus = HttpPrometheus(url)
    Answers.status, Answers.body = 200, json.dumps({"status": "success", "data": {"result": [12.5, "12.5"]}})
    assert prometheus.now() == 12.5
    assert Answers.asked == "query=time%28%29"
    Answers.body = json.dumps({"status": "success", "data": {"result": [{"metric": {}}]}})
    assert prometheus.query("up") == [{"metric": {}}]
    prometheus.close()


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (503, "", "Prometheus answers 503"),
        (200, "no JSON", "Prometheus answers what is no result"),
        (200, '{"status": "error"}', "Prometheus answers what is no result"),
        (200, '{"status": "success", "data": {}}', "Prometheus answers what is no result"),
    ],
)
def test_whatever_is_no_result_makes_the_look_missing(url: str, status: int, body: str, reason: str) -> None:
    Answers.status, Answers.body = status, body
    prometheus = HttpPrometheus(url)
    with pytest.raises(UnavailableError, match=f"^{reason}$"):
        prometheus.query("up")
    prometheus.close()


def test_a_prometheus_that_is_not_there_makes_the_look_missing() -> None:
    prometheus = HttpPrometheus("http://127.0.0.1:1")
    with pytest.raises(UnavailableError, match=r"^Prometheus does not answer: ConnectError$"):
        prometheus.now()
    prometheus.close()
