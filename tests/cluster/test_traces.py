"""One trace leads from the gateway to the server, and no prediction depends on who collects it."""

from collections.abc import Iterator
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


def by_trace(spans: list[Span], service: str, kind: int) -> dict[str, Span]:
    """The spans of a service, by trace: one each."""
    found = [span for span in spans if (span.service, span.kind) == (service, kind)]
    assert len({span.trace for span in found}) == len(found)
    return {span.trace: span for span in found}


def test_each_recorded_request_has_a_span_of_the_gateway_and_one_of_the_server_below(
    stack: Stack, folder: Path, collector: SpanCollector
) -> None:
    ids = predict(stack, traced(stack, folder, collector, 100), 1)
    with httpx.Client(trust_env=False) as client:
        # Without a trace of its own, and as a client that does not want one.
        row, url = stack.reference("v1")["rows"][0], f"{stack.gateway}/traced/predict"
        begun = client.post(url, json=row).raise_for_status().json()["id"]
        unwilling = {"traceparent": f"00-{'4b' * 16}-{PARENT}-00"}
        ids["4b" * 16] = client.post(url, json=row, headers=unwilling).raise_for_status().json()["id"]
    spans = collector.await_spans(lambda got: len(got) >= 3 * (PREDICTIONS + 2))
    assert len(spans) == 3 * (PREDICTIONS + 2)
    whole, attempts = by_trace(spans, GATEWAY, SERVER), by_trace(spans, GATEWAY, CLIENT)
    servers = by_trace(spans, "traced", SERVER)
    own = {trace: span for trace, span in servers.items() if trace not in ids}
    assert [span.said["modelway.prediction.ids"] for span in own.values()] == [[begun]]
    assert set(whole) == set(attempts) == set(servers) == {*ids, *own}
    for trace, name in ids.items():
        assert servers[trace].said["modelway.prediction.ids"] == [name]
        assert whole[trace].parent == PARENT
    for trace, span in servers.items():
        assert span.parent == attempts[trace].own
        assert attempts[trace].parent == whole[trace].own
        assert whole[trace].start <= span.start < span.end <= whole[trace].end
    assert (span.resource["service.version"], len(span.resource["modelway.digest"])) == ("v1", 64)
    assert "secret-" not in collector.output.read_text()


def test_with_a_share_of_none_a_client_cannot_have_its_request_recorded(
    stack: Stack, folder: Path, collector: SpanCollector
) -> None:
    url = traced(stack, folder, collector, 0)
    before = len(collector.spans())
    unrecorded = predict(stack, url, 1000)
    ids = predict(stack, traced(stack, folder, collector, 50), 2000)

    def whole(got: list[Span]) -> bool:
        """Whether every recorded request has its spans, and there are some."""
        sent = [span.trace for span in got[before:]]
        return bool(sent) and all(sent.count(trace) == 3 for trace in sent)

    # The proxies send what they have at least every five seconds, and the second deployment took longer.
    spans = collector.await_spans(whole)[before:]
    recorded = {span.trace for span in spans}
    assert not recorded & set(unrecorded)
    assert recorded <= set(ids)
    assert len(recorded) < PREDICTIONS


def test_no_prediction_fails_while_nobody_collects(stack: Stack, collector: SpanCollector) -> None:
    collector.process.kill()
    collector.process.wait()
    assert len(predict(stack, f"{stack.gateway}/traced/predict", 3000)) == PREDICTIONS
