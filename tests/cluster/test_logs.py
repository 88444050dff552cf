"""Every prediction is found again in Loki by its id, whatever happens to the pods meanwhile."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.cluster.stack import LONG, Stack
from tests.engine.log_ground import Loki, loki
from tools.node.layout import NODE_ADDRESS, Layout
from tools.node.lifecycle import enter

# A cold build of the collector and of Loki takes about 13 minutes.
pytestmark = [*LONG, pytest.mark.timeout(1800)]

PREDICTIONS = 1000
BEFORE = 200
"""And after the restart."""
PAUSE_SECONDS = 0.03
"""Between two predictions, so that all of them are fewer lines than Loki answers with at once."""
MODEL = {"name": "logged", "versions": [{"name": "v1", "image": "breast-cancer:v1", "replicas": 2}]}
LINES = '{service_name="logged"} | prediction_id != ""'


@pytest.fixture(scope="module")
def logs(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Loki, str]]:
    """A Loki beside the node that the stack sends its logs to, and URL of the model."""
    folder = tmp_path_factory.mktemp("logs")
    inside = ["nsenter", f"--target={enter(Layout(stack.state / 'node'), [])[2]}", "--net", "--"]
    with loki(folder / "loki", NODE_ADDRESS, inside) as store:
        said = {
            "destination": "loki",
            "url": store.url,
            "redactedFields": ["address"],
            "redactedPatterns": ["secret-[0-9]+"],
        }
        model_url = stack.up_with(MODEL, folder / "project", logs=said)[0]
        try:
            yield store, model_url
        finally:
            stack.modelway("up", "node")


def restart(stack: Stack) -> None:
    """Until every pod of the version is another one."""
    stack.kubectl("-n", "modelway-models", "rollout", "restart", "deployment/logged-v1")
    stack.kubectl("-n", "modelway-models", "rollout", "status", "deployment/logged-v1", "--timeout=120s")


def test_each_of_a_thousand_predictions_under_a_rolling_restart_is_found_by_its_id(
    stack: Stack, logs: tuple[Loki, str], figure: Callable[[str], None]
) -> None:
    store, model_url = logs
    row = stack.reference("v1")["rows"][0]
    ids = []
    with httpx.Client(trust_env=False) as client, ThreadPoolExecutor(1) as beside:

        def predict() -> None:
            ids.append(client.post(model_url, json=row).raise_for_status().json()["id"])

        for _ in range(BEFORE):
            predict()
        restarted = beside.submit(restart, stack)
        while len(ids) < PREDICTIONS or not restarted.done():
            predict()
            time.sleep(PAUSE_SECONDS)
        restarted.result()
        for _ in range(BEFORE):
            predict()
    assert len(set(ids)) == len(ids)
    lines = store.await_found(LINES, len(ids))
    seen = [line["stream"]["prediction_id"] for line in lines]
    pods = {line["stream"]["k8s_pod_name"] for line in lines}
    assert sorted(seen) == sorted(ids)
    assert len(pods) >= 4, "two pods before the restart and two after it"
    (line,) = store.found(f'{LINES} | prediction_id="{ids[BEFORE]}"')
    assert (line["stream"]["model"], line["stream"]["version"]) == ("logged", "v1")
    assert len(line["stream"]["digest"]) == 64
    request = line["stream"]["request_id"]
    (proxied,) = store.found(f'{{service_name="envoy"}} | request_id="{request}"')
    assert json.loads(proxied["line"])["address"] == "****"
    figure(f"{len(ids)} predictions over {len(pods)} pods: all found by id in Loki")


def test_no_redacted_field_leaves_the_node(stack: Stack, logs: tuple[Loki, str]) -> None:
    store, model_url = logs
    trace = f"00-{'4b' * 16}-{'0f' * 8}-01"
    with httpx.Client(trust_env=False) as client:
        for number in range(5):
            answer = client.get(f"{model_url}/secret-{number}123", headers={"traceparent": trace})
            assert answer.status_code == 404
        client.post(model_url, json=stack.reference("v1")["rows"][0], headers={"traceparent": trace})
    masked = store.await_found('{service_name="envoy"} |= "/****"', 5)
    assert {json.loads(line["line"])["address"] for line in masked} == {"****"}
    assert store.found('{k8s_namespace_name=~".+"} |~ "secret-[0-9]"') == []
    # One trace id leads from the gateway's line to the server's.
    traced = store.await_found(f'{{service_name="logged"}} | trace_id="{"4b" * 16}"', 1)
    assert json.loads(traced[0]["line"])["event"] == "request"
    assert store.await_found(f'{{service_name="envoy"}} | trace_id="{"4b" * 16}"', 6)
