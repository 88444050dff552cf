"""What a real collector gets of the model server's spans."""

from pathlib import Path

import httpx
from server_process import running
from server_testing import NAMES, write_artifact

from tests.engine.span_ground import SERVER, span_collector

ROW = dict.fromkeys(NAMES, 1.0)
PARENT = "00f067aa0ba902b7"


def test_a_real_collector_takes_each_recorded_prediction_once(tmp_path: Path) -> None:
    model = write_artifact(tmp_path / "model")
    traces = [f"{number:032x}" for number in range(1, 301)]
    with span_collector(tmp_path / "collector") as collector, httpx.Client(trust_env=False) as client:
        with running(model, MODELWAY_TRACES_URL=collector.url) as server:
            for number, trace in enumerate(traces):
                headers = {"traceparent": f"00-{trace}-{PARENT}-{number % 2:02x}"}
                answer = client.post(f"{server.url}/predict", json={"rows": [ROW, ROW]}, headers=headers)
                assert answer.status_code == 200
            server.wait_for('modelway_spans_total{model="sample",outcome="sent",version="v1"} 150.0')
        spans = collector.await_spans(lambda got: len(got) >= 150)
    assert sorted(span.trace for span in spans) == traces[1::2]
    assert len({span.own for span in spans}) == 150
    (last,) = [span for span in spans if span.trace == traces[-1]]
    assert (last.parent, last.kind, last.name) == (PARENT, SERVER, "POST /predict")
    assert last.start < last.end
    assert last.said["modelway.prediction.ids"] == answer.json()["id"]
    assert last.said["http.response.status_code"] == 200
    assert (last.resource["service.name"], last.resource["service.version"]) == ("sample", "v1")


def test_spans_of_a_collector_that_was_killed_arrive_at_the_next(tmp_path: Path) -> None:
    model = write_artifact(tmp_path / "model")
    with span_collector(tmp_path / "first") as collector:
        ports = collector.http_port, collector.grpc_port
        with running(model, MODELWAY_TRACES_URL=collector.url) as server:
            collector.process.kill()
            collector.process.wait()
            headers = {"traceparent": f"00-{'4b' * 16}-{PARENT}-01"}
            answers = [
                httpx.post(f"{server.url}/predict", json=ROW, headers=headers, trust_env=False) for _ in range(50)
            ]
            assert {answer.status_code for answer in answers} == {200}
            with span_collector(tmp_path / "second", ports=ports) as successor:
                spans = successor.await_spans(lambda got: len(got) >= 50)
    assert len({span.own for span in spans}) == len(spans) == 50
