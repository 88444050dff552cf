"""What became of predictions, sent back through the gateway to whichever replica it chooses."""

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.cluster.stack import Stack

pytestmark = pytest.mark.cluster

SECONDS = 120.0
SCORED = "app.kubernetes.io/name=scored,app.kubernetes.io/component=model-server"


@pytest.fixture(scope="module")
def url(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the model `scored`, one version in two replicas; afterwards the stack is as it was."""
    versions = [{"name": "v1", "image": stack.lock()["breast-cancer:v1"]}]
    model = {"name": "scored", "feedback": True, "feedbackOutcomes": ["cost"], "versions": versions}
    split, _ = stack.up_with(model, tmp_path_factory.mktemp("scored") / "project")
    yield split.removesuffix("/predict")
    stack.modelway("up", "node")


def test_feedback_counts_after_the_replica_that_predicted_is_gone(stack: Stack, url: str) -> None:
    reference = stack.reference("v1")
    count = 40
    with httpx.Client(trust_env=False) as client:
        ids = [
            client.post(f"{url}/predict", json=row).raise_for_status().json()["id"] for row in reference["rows"][:count]
        ]
        names = stack.kubectl("get", "pods", "-n", "modelway-models", "-l", SCORED, "-o", "name").split()
        stack.kubectl("rollout", "restart", "-n", "modelway-models", "deployment/scored-v1")
        stack.kubectl("wait", "-n", "modelway-models", "--for=delete", *names, "--timeout=180s")
        items = [
            {"id": name, "truth": truth, "outcome": {"cost": 2.5}}
            for name, truth in zip(ids, reference["prediction"], strict=False)
        ]
        answer = client.post(f"{url}/feedback", json={"items": items})
        forged = client.post(f"{url}/feedback", json={"id": ids[0][:-2] + "AA", "truth": reference["prediction"][0]})
    assert (answer.status_code, answer.json()) == (200, {"accepted": count, "refused": []})
    assert forged.status_code == 403
    counted, deadline = 0.0, time.monotonic() + SECONDS
    while counted < count and time.monotonic() < deadline:
        samples = stack.prometheus('sum(modelway_feedback_truth_total{model="scored",version="v1",correct="true"})')
        counted = float(samples[0]["value"][1]) if samples else 0.0
    assert counted == count


def test_the_key_is_made_once(stack: Stack, url: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    del url
    name = ("get", "secret", "scored-feedback-key", "-n", "modelway-models", "-o", "jsonpath={.data}")
    before = stack.kubectl(*name)
    versions = [{"name": "v1", "image": stack.lock()["breast-cancer:v1"]}]
    stack.up_with(
        {"name": "scored", "feedback": True, "versions": versions}, tmp_path_factory.mktemp("again") / "project"
    )
    assert stack.kubectl(*name) == before
