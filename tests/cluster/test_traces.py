"""One trace leads from the gateway to the server, and no prediction depends on who collects it."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.cluster.stack import Stack
from tests.engine.span_ground import CLIENT, SERVER, Span, SpanCollector, span_collector
from tools.node.layout import NODE_ADDRESS, Layout
from tools.node.lifecycle import enter

pytestmark = pytest.mark.cluster

PREDICTIONS = 100
GATEWAY = "modelway-gateway"
PARENT = "0f" * 8
GOLDEN = 0x9E3779B97F4A7C15F39CC0605CEDC835
"""The golden ratio in 128 bits, whose multiples are spread evenly."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("traces")


@pytest.fixture(scope="module")
def collector(stack: Stack, folder: Path) -> Iterator[SpanCollector]:
    """A collector beside the node; afterwards the stack is as it was."""
    inside = ["nsenter", f"--target={enter(Layout(stack.state / 'node'), [])[2]}", "--net", "--"]
    with span_collector(folder / "collector", NODE_ADDRESS, inside) as found:
        yield found
        stack.modelway("up", "node")


def traced(stack: Stack, folder: Path, collector: SpanCollector, percent: float) -> str:
    """The stack with a model whose requests are recorded to this share: its URL."""
    model = {"name": "traced", "versions": [{"name": "v1", "image": stack.lock()["breast-cancer:v1"], "replicas": 2}]}
    said = {"url": collector.url, "grpcPort": collector.grpc_port, "samplePercent": percent}
    return stack.up_with(model, folder / f"project-{percent:g}", traces=said)[0]


def predict(stack: Stack, url: str, first: int) -> dict[str, str]:
    """Predictions, each in a trace of the client's that it says is sampled: their ids by trace."""
    row, ids = stack.reference("v1")["rows"][0], {}
    with httpx.Client(trust_env=False) as client:
        for number in range(first, first + PREDICTIONS):
            trace = f"{number * GOLDEN % 2**128:032x}"
            headers = {"traceparent": f"00-{trace}-{PARENT}-01", "x-request-id": f"request-{number}"}
            answer = client.post(f"{url}?name=secret-{number}", json=row, headers=headers)
            ids[trace] = answer.raise_for_status().json()["id"]
            assert answer.headers["x-request-id"] == f"request-{number}"
    return ids


def whole(spans: list[Span]) -> list[str]:
    """Traces that have all of their spans."""
    counts = Counter(span.trace for span in spans)
    return [trace for trace, count in counts.items() if count == 3]


def predicted(spans: list[Span]) -> dict[str, str]:
    """Whole traces by the ids of their predictions."""
    there = set(whole(spans))
    servers = [span for span in spans if span.service == "traced" and span.trace in there]
    return {name: span.trace for span in servers for name in span.said.get("modelway.prediction.ids", [])}


def by_trace(spans: list[Span], service: str, kind: int) -> dict[str, Span]:
    """The spans of a service, by trace: one each."""
    found = [span for span in spans if (span.service, span.kind) == (service, kind)]
    assert len({span.trace for span in found}) == len(found)
    return {span.trace: span for span in found}


def test_each_recorded_request_has_a_span_of_the_gateway_and_one_of_the_server_below(
    stack: Stack, folder: Path, collector: SpanCollector, figure: Callable[[str], None]
) -> None:
    ids = predict(stack, traced(stack, folder, collector, 100), 1)
    with httpx.Client(trust_env=False) as client:
        # Without a trace of its own, and as a client that does not want one.
        row, url = stack.reference("v1")["rows"][0], f"{stack.gateway}/traced/predict"
        begun = client.post(url, json=row).raise_for_status().json()["id"]
        unwilling = {"traceparent": f"00-{'4b' * 16}-{PARENT}-00"}
        ids["4b" * 16] = client.post(url, json=row, headers=unwilling).raise_for_status().json()["id"]
    spans = collector.await_spans(lambda got: set(whole(got)) >= set(ids) and begun in predicted(got))
    traces = {*ids, predicted(spans)[begun]}
    assert len(traces) == PREDICTIONS + 2
    gateway, attempts = by_trace(spans, GATEWAY, SERVER), by_trace(spans, GATEWAY, CLIENT)
    servers = by_trace(spans, "traced", SERVER)
    for trace in traces:
        assert servers[trace].parent == attempts[trace].own
        assert attempts[trace].parent == gateway[trace].own
        assert gateway[trace].parent == (PARENT if trace in ids else "")
        assert gateway[trace].start <= servers[trace].start < servers[trace].end
    assert {trace: servers[trace].said["modelway.prediction.ids"] for trace in ids} == {
        trace: [name] for trace, name in ids.items()
    }
    resource = servers[trace].resource
    assert (resource["service.version"], len(resource["modelway.digest"])) == ("v1", 64)
    assert "secret-" not in collector.output.read_text()
    figure(f"{len(traces)} predictions: {len(traces)} traces with two spans of the gateway and one of the server each")


def test_with_a_share_of_none_a_client_cannot_have_its_request_recorded(
    stack: Stack, folder: Path, collector: SpanCollector
) -> None:
    url = traced(stack, folder, collector, 0)
    before = len(collector.spans())
    unrecorded = predict(stack, url, 1000)
    ids = predict(stack, traced(stack, folder, collector, 50), 2000)

    # The proxies send what they have at least every five seconds, and the second deployment took longer.
    spans = collector.await_spans(lambda got: bool(set(whole(got)) & set(ids)))[before:]
    recorded = {span.trace for span in spans}
    assert not recorded & set(unrecorded)
    assert 0 < len(recorded & set(ids)) < PREDICTIONS


def test_no_prediction_fails_while_nobody_collects(stack: Stack, collector: SpanCollector) -> None:
    collector.process.kill()
    collector.process.wait()
    assert len(predict(stack, f"{stack.gateway}/traced/predict", 3000)) == PREDICTIONS
