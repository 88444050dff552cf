"""What the real collector makes of log files, and what a real Loki finds again."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import yaml
from modelway.logging.pipeline import SECRET_FOLDER, Destination, Pipeline

from tests.cluster.stack import FULL
from tests.engine.log_ground import (
    Pods,
    await_records,
    collector,
    free_port,
    into_file,
    loki,
    loopback_config,
)
from tests.loopback import serving
from tools.progress import Progress
from tools.toolchain import ensure

MODELS, GATEWAY = "modelway-models", "modelway-gateway"
SERVER_POD = f"{MODELS}_iris-v1-6d5_0f0e"
PROXY_POD = f"{GATEWAY}_envoy-7c_1a1b"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
DIGEST = "9" * 64


def served(number: int, code: int = 200, **more: Any) -> dict[str, Any]:
    """A line of the model server's access log."""
    return {
        "time": "2026-11-24T00:00:00.000Z",
        "level": "info",
        "event": "request",
        "code": code,
        "request_id": f"request-{number}",
        "model": "iris",
        "version": "v1",
        "digest": DIGEST,
        "trace_id": TRACE,
        "prediction_ids": [f"prediction-{number}"],
        **more,
    }


def proxied(number: int, status: int = 200, **more: Any) -> dict[str, Any]:
    """A line of the gateway's access log."""
    return {
        "request_id": f"request-{number}",
        "route": "httproute/modelway-models/iris-split/rule/0",
        "status": status,
        "traceparent": f"00-{TRACE}-{SPAN}-01",
        **more,
    }


@pytest.fixture
def pods(tmp_path: Path) -> Pods:
    return Pods(tmp_path / "pods")


def pipeline(**changes: Any) -> Pipeline:
    return Pipeline(Destination("loki", url="http://127.0.0.1:1"), (MODELS, GATEWAY), **changes)


def collected(tmp_path: Path, spec: Pipeline, count: int) -> list[dict[str, Any]]:
    """What a collector of `spec` writes into a file, once there are `count` records."""
    output = tmp_path / "output.json"
    config = into_file(loopback_config(spec, tmp_path, free_port()), output)
    with collector(config, tmp_path):
        return await_records(output, lambda got: len(got) >= count)


def test_the_fields_of_a_line_are_kept(tmp_path: Path, pods: Pods) -> None:
    line = served(1)
    pods.write(SERVER_POD, "server", [line])
    (record,) = collected(tmp_path, pipeline(), 1)
    assert record["body"] == line
    assert {name: record["attributes"][name] for name in ("prediction_id", "request_id", "trace_id", "digest")} == {
        "prediction_id": "prediction-1",
        "request_id": "request-1",
        "trace_id": TRACE,
        "digest": DIGEST,
    }
    assert (record["attributes"]["model"], record["attributes"]["version"], record["trace"]) == ("iris", "v1", TRACE)
    assert (record["severity"], record["number"]) == ("info", 9)
    names = ("service.name", "service.version", "k8s.namespace.name", "k8s.pod.name", "k8s.container.name")
    assert [record["resource"][name] for name in names] == ["iris", "v1", MODELS, "iris-v1-6d5", "server"]


def test_lines_that_are_no_json_are_kept_as_they_are(tmp_path: Path, pods: Pods) -> None:
    texts = ["Traceback (most recent call last):", "{no json"]
    pods.write(SERVER_POD, "server", texts)
    assert [record["body"] for record in collected(tmp_path, pipeline(), 2)] == texts


def test_the_gateways_line_has_the_ids_of_its_trace(tmp_path: Path, pods: Pods) -> None:
    pods.write(PROXY_POD, "envoy", [proxied(1, 503)])
    (record,) = collected(tmp_path, pipeline(), 1)
    assert (record["trace"], record["attributes"]["span_id"], record["number"]) == (TRACE, SPAN, 17)
    assert record["resource"]["service.name"] == "envoy"


def test_pods_of_other_namespaces_are_not_read(tmp_path: Path, pods: Pods) -> None:
    pods.write("kube-system_coredns_1", "coredns", ["a stranger's line"])
    pods.write(SERVER_POD, "server", [served(1)])
    assert [record["body"]["request_id"] for record in collected(tmp_path, pipeline(), 1)] == ["request-1"]


def test_no_redacted_field_or_pattern_leaves_the_node(tmp_path: Path, pods: Pods) -> None:
    card = "4111111111111111"
    pods.write(
        SERVER_POD,
        "server",
        [
            served(1, ssn="078-05-1120", person={"SSN": {"number": "078-05-1120"}, "rows": [{"ssn": 78051120}]}),
            served(2, note=f"paid with {card}", rows=[[card]], amount=int(card)),
            f"paid with {card}, said a library",
        ],
    )
    spec = pipeline(redacted_fields=("ssn",), redacted_patterns=(r"\b4\d{15}\b",))
    got = collected(tmp_path, spec, 3)
    text = (tmp_path / "output.json").read_text()
    assert not [secret for secret in ("078-05-1120", "78051120", card, "4.111111111111111e") if secret in text]
    assert got[0]["body"]["ssn"] == "****"
    assert got[1]["body"]["note"] == "paid with ****"
    assert [record["attributes"]["prediction_id"] for record in got[:2]] == ["prediction-1", "prediction-2"]


def test_sampling_keeps_every_error_and_the_share_of_the_rest(tmp_path: Path, pods: Pods) -> None:
    numbers, codes = range(1000), (400, 404, 429, 499, 500, 503)
    failed = [served(2000 + code, code, level="info", prediction_ids=[]) for code in codes]
    pods.write(PROXY_POD, "envoy", [proxied(number) for number in numbers] + [proxied(9999, 0)])
    pods.write(
        SERVER_POD,
        "server",
        [*(served(number) for number in numbers), *failed, {"level": "error", "event": "request failed"}, "plain"],
    )
    spec = pipeline(prediction_percent=10)

    def last(body: Any) -> bool:
        """Whether it is the last line of its file, which is always kept: all before it were decided."""
        return body == "plain" or (isinstance(body, dict) and body.get("request_id") == "request-9999")

    output = tmp_path / "output.json"
    with collector(into_file(loopback_config(spec, tmp_path, free_port()), output), tmp_path):
        got = await_records(output, lambda got: len([each for each in got if last(each["body"])]) == 2)
    server = [record["body"] for record in got if record["resource"]["k8s.container.name"] == "server"]
    kept = {body["request_id"] for body in server if isinstance(body, Mapping) and body.get("code") == 200}
    assert 50 <= len(kept) <= 150
    assert [body["code"] for body in server if isinstance(body, Mapping) and body.get("code", 200) != 200] == [*codes]
    assert {"level": "error", "event": "request failed"} in server
    assert "plain" in server
    proxy = [record["body"] for record in got if record["resource"]["k8s.container.name"] == "envoy"]
    # One request, one decision: its line in the gateway goes with its line in the server.
    assert {body["request_id"] for body in proxy} == {*kept, "request-9999"}
    assert not [record for record in got if "sampling.priority" in record["attributes"]]


@pytest.mark.skipif(not FULL, reason="builds Loki, which takes many minutes: `make test-long`")
def test_a_real_loki_finds_each_prediction_by_its_id_once(tmp_path: Path, pods: Pods) -> None:
    with loki(tmp_path / "loki") as store:
        spec = Pipeline(Destination("loki", url=store.url), (MODELS, GATEWAY), redacted_fields=("ssn",))
        pods.write(SERVER_POD, "server", [served(number, ssn="078-05-1120") for number in range(500)])
        with collector(loopback_config(spec, tmp_path, free_port()), tmp_path):
            store.await_found('{service_name="iris"}', 500)
        # What is written while it is away is read when it is back, and nothing twice.
        pods.write(SERVER_POD, "server", [served(number) for number in range(500, 1000)])
        pods.write(f"{MODELS}_iris-v1-9zz_2c2d", "server", [served(1000, 500)])
        with collector(loopback_config(spec, tmp_path, free_port()), tmp_path):
            lines = store.await_found('{service_name="iris"}', 1001)
        assert sorted(json.loads(line["line"])["prediction_ids"][0] for line in lines) == sorted(
            f"prediction-{number}" for number in range(1001)
        )
        (line,) = store.found('{service_name="iris"} | prediction_id="prediction-77"')
        expected = {"model": "iris", "version": "v1", "digest": DIGEST, "request_id": "request-77", "trace_id": TRACE}
        assert {name: line["stream"][name] for name in expected} == expected
        assert not store.found('{service_name="iris"} |= "078-05-1120"')


def test_what_the_destination_refuses_for_a_while_arrives_later(tmp_path: Path, pods: Pods) -> None:
    with refusing((503, 429)) as (url, bodies):
        spec = Pipeline(Destination("elasticsearch", url=url), (MODELS,), authorized=True)
        config = loopback_config(spec, tmp_path, free_port())
        (tmp_path / "authorization").write_text("ApiKey abc==")
        text = json.dumps(config).replace(SECRET_FOLDER, str(tmp_path))
        pods.write(SERVER_POD, "server", [served(1)])
        with collector(json.loads(text), tmp_path):
            first, second, third = (bodies.get(timeout=60) for _ in range(3))
    assert first == second == third
    assert first[:2] == ("/_otlp/v1/logs", "ApiKey abc==")


@contextmanager
def refusing(codes: Sequence[int]) -> Iterator[tuple[str, Queue[tuple[str, str, bytes]]]]:
    """A destination that answers with `codes` first and takes everything then: its URL, and what it was sent."""
    answers, requests = iter(codes), Queue[tuple[str, str, bytes]]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(next(answers, 200))
            self.send_header("content-length", "0")
            self.end_headers()
            requests.put((self.path, self.headers["authorization"], body))

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as port:
        yield f"http://127.0.0.1:{port}", requests


@pytest.mark.parametrize(
    "destination",
    [
        Destination("loki", url="https://loki.example.com", tenant="models"),
        Destination("elasticsearch", url="https://es.example.com:9200"),
        Destination("cloudwatch", region="eu-central-1", retention_days=30),
        Destination("cloudLogging", project="my-project"),
        Destination("cloudLogging"),
    ],
    ids=lambda destination: destination.kind,
)
def test_the_collector_accepts_the_configuration_of_every_destination(tmp_path: Path, destination: Destination) -> None:
    spec = Pipeline(destination, (MODELS,), False, ("ssn",), ("[0-9]{16}",), 12.5)
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(loopback_config(spec, tmp_path, free_port())))
    program = ensure(["otel-collector"], Progress())["otel-collector"].path
    result = subprocess.run([program, "validate", f"--config=file:{file}"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
