"""Spans: which requests have one, what it says, and that no request waits for the collector."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from collector_testing import collecting, plain
from modelway_server import span_export
from modelway_server.span_export import BATCH, LAST_SECONDS, QUEUE, TIMEOUT_SECONDS, SpanExporter
from modelway_server.tracing import MAXIMUM_IDS, span
from prometheus_client import CollectorRegistry
from server_process import DEADLINE_SECONDS, SERVER, Running, free_port, running
from server_testing import NAMES

ROW = dict.fromkeys(NAMES, 1.0)
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
LABELS = 'model="sample",outcome="{}",version="v1"'


CLIENT = httpx.Client(trust_env=False)


@pytest.fixture(scope="module", autouse=True)
def _connections() -> Iterator[None]:
    """One client for all requests, closed in the end."""
    with CLIENT:
        yield


def predict(server: Running, flags: str = "01", trace: str = TRACE, body: Any = ROW, **headers: str) -> httpx.Response:
    headers = {"traceparent": f"00-{trace}-{PARENT}-{flags}", **headers}
    return CLIENT.post(f"{server.url}/predict", json=body, headers=headers)


def counted(server: Running, outcome: str, count: float) -> None:
    server.wait_for(f"modelway_spans_total{{{LABELS.format(outcome)}}} {count}")


def test_a_recorded_request_has_one_span_under_its_callers(classification: Path) -> None:
    with collecting() as collector, running(classification, MODELWAY_TRACES_URL=collector.url) as server:
        before = time.time_ns()
        answer = predict(server, **{"x-request-id": "one", "x-modelway-assignment": "split"}).json()
        path, media, body = collector.requests.get(timeout=DEADLINE_SECONDS)
        after = time.time_ns()
        counted(server, "sent", 1.0)
    assert (path, media) == ("/v1/traces", "application/json")
    ((scope,),) = [resource["scopeSpans"] for resource in body["resourceSpans"]]
    (found,) = scope["spans"]
    assert (found["traceId"], found["parentSpanId"], found["kind"]) == (TRACE, PARENT, 2)
    assert len(bytes.fromhex(found["spanId"])) == 8
    assert found["spanId"] != PARENT
    assert before <= int(found["startTimeUnixNano"]) < int(found["endTimeUnixNano"]) <= after
    assert (found["name"], found["status"]) == ("POST /predict", {})
    assert plain(found["attributes"]) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/predict",
        "url.path": "/predict",
        "url.scheme": "http",
        "modelway.request_id": "one",
        "modelway.assignment": "split",
        "modelway.prediction.ids": [answer["id"]],
        "modelway.predictions": 1,
    }
    files = json.loads((classification / "manifest.json").read_text())["files"]
    resource = plain(body["resourceSpans"][0]["resource"]["attributes"])
    assert resource.pop("modelway.digest") in {file["sha256"] for file in files.values()}
    assert resource == {
        "service.name": "sample",
        "service.version": "v1",
        "service.instance.id": socket.gethostname(),
        "modelway.model": "sample",
        "modelway.version": "v1",
    }


def test_the_caller_decides_what_is_recorded(classification: Path) -> None:
    with collecting() as collector, running(classification, MODELWAY_TRACES_URL=collector.url) as server:
        for headers in ({}, {"traceparent": '00-"}-1'}, {"traceparent": f"00-{'0' * 32}-{PARENT}-01"}):
            assert httpx.post(f"{server.url}/predict", json=ROW, headers=headers, trust_env=False).status_code == 200
        for flags in ("00", "02", "fe"):
            assert predict(server, flags).status_code == 200
        httpx.get(f"{server.url}/docs", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"}, trust_env=False)
        traces = [f"{number:032x}" for number in range(1, 4)]
        for trace, flags in zip(traces, ("01", "03", "ff"), strict=True):
            predict(server, flags, trace)
        assert [each["traceId"] for each in collector.spans(3)] == traces
        counted(server, "sent", 3.0)


def test_a_refused_request_has_a_span_too_and_no_feature_value(classification: Path) -> None:
    with collecting() as collector, running(classification, MODELWAY_TRACES_URL=collector.url) as server:
        assert predict(server, body=ROW | {"höhe": "77.25"}).status_code == 422
        (found,) = collector.spans(1)
    assert found["attributes"]["http.response.status_code"] == 422
    assert "77.25" not in json.dumps(found)


def recorded(code: int, ids: list[str] | None = None) -> Any:
    return (TRACE.encode(), PARENT.encode(), b"12345678", 1, 2, "POST", "/predict", code, "one", "none", ids)


@pytest.mark.parametrize(("code", "status"), [(200, {}), (422, {}), (499, {}), (500, {"code": 2}), (503, {"code": 2})])
def test_only_an_error_of_the_server_makes_a_span_one(code: int, status: dict[str, int]) -> None:
    found = span(recorded(code))
    assert found["status"] == status
    assert plain(found["attributes"]).get("error.type") == (str(code) if status else None)


def test_a_span_carries_a_bounded_number_of_ids() -> None:
    said = plain(span(recorded(200, ["id"] * (MAXIMUM_IDS + 1)))["attributes"])
    assert (len(said["modelway.prediction.ids"]), said["modelway.predictions"]) == (MAXIMUM_IDS, MAXIMUM_IDS + 1)


def test_off_nothing_of_it_is_there(classification: Path) -> None:
    program = (
        "import os, sys, threading; from pathlib import Path; from modelway_server.main import create_service; "
        "from modelway_server.settings import load; import modelway_server.app; "
        "service = create_service(load(os.environ)); "
        "print([name for name in sys.modules if name.endswith(('.tracing', '.span_export')) "
        "and name.startswith('modelway_server')], service.tracer, "
        "[thread.name for thread in threading.enumerate() if thread.name == 'spans'])"
    )
    environment = {"MODELWAY_MODEL_DIR": str(classification), "PYTHONPATH": str(SERVER)}
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout == "[] None []\n"
    with running(classification) as server:
        assert predict(server).status_code == 200
        assert "modelway_spans" not in server.metrics()


def test_what_a_collector_that_is_away_does_not_take_arrives_when_it_is_back(classification: Path) -> None:
    port = free_port()
    with running(classification, MODELWAY_TRACES_URL=f"http://127.0.0.1:{port}") as server:
        assert [predict(server, trace=f"{number:032x}").status_code for number in range(1, 21)] == [200] * 20
        with collecting((503, 429), port=port) as collector:
            first, second = (collector.requests.get(timeout=DEADLINE_SECONDS)[2] for _ in range(2))
            found = collector.spans(20)
        counted(server, "sent", 20.0)
        counted(server, "dropped", 0.0)
    assert sorted(each["traceId"] for each in found) == [f"{number:032x}" for number in range(1, 21)]
    assert first == second


@pytest.mark.parametrize(
    ("codes", "answer", "sent", "dropped"),
    [
        ((400,), b"{}", 0.0, 1.0),
        ((), b'{"partialSuccess":{"rejectedSpans":"1"}}', 0.0, 1.0),
        ((), b'{"partialSuccess":{}}', 1.0, 0.0),
        ((), b"[]", 1.0, 0.0),
        ((), b"no json", 1.0, 0.0),
    ],
)
def test_what_a_collector_refuses_is_counted(
    classification: Path, codes: tuple[int, ...], answer: bytes, sent: float, dropped: float
) -> None:
    with collecting(codes, answer) as collector, running(classification, MODELWAY_TRACES_URL=collector.url) as server:
        assert predict(server).status_code == 200
        collector.spans(1)
        counted(server, "sent", sent)
        counted(server, "dropped", dropped)


def test_a_collector_that_never_answers_delays_neither_predictions_nor_the_end(classification: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with running(classification, MODELWAY_TRACES_URL=url, MODELWAY_DRAIN_SECONDS="0") as server:
            answers = [predict(server) for _ in range(4 * BATCH)]
            assert {answer.status_code for answer in answers} == {200}
            assert max(answer.elapsed.total_seconds() for answer in answers) < TIMEOUT_SECONDS
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(LAST_SECONDS + 5) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_is_recorded_last_is_sent_before_the_server_ends(classification: Path, workers: str) -> None:
    settings = {"MODELWAY_WORKERS": workers, "MODELWAY_DRAIN_SECONDS": "0"}
    with collecting() as collector, running(classification, MODELWAY_TRACES_URL=collector.url, **settings) as server:
        traces = [f"{number:032x}" for number in range(1, BATCH + 20)]
        for trace in traces:
            predict(server, trace=trace)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(DEADLINE_SECONDS) == 0
        found = collector.spans(len(traces))
    assert sorted(each["traceId"] for each in found) == traces
    assert len({each["spanId"] for each in found}) == len(traces)


def test_a_full_queue_drops_what_comes_and_says_how_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_export, "LAST_SECONDS", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        registry, url = CollectorRegistry(), f"http://127.0.0.1:{silent.getsockname()[1]}"
        exporter: SpanExporter[dict[str, Any]] = SpanExporter(url, {}, lambda each: each, registry, ("sample", "v1"))
        # Beside the queue there is a batch under way, at most.
        for _ in range(QUEUE + BATCH + 5):
            exporter.add({})
        labels = {"model": "sample", "version": "v1", "outcome": "dropped"}
        full = registry.get_sample_value("modelway_spans_total", labels)
        assert full is not None
        assert 5 <= full <= BATCH + 5
        exporter.stop()
        assert registry.get_sample_value("modelway_spans_total", labels) == QUEUE + BATCH + 5
