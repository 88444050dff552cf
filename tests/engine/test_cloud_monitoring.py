"""Alerts in the cluster's own cloud by the real engine, from the first preview to an empty state; no cloud is asked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.engine.cloud_stacks import Clouds, clouds

pytestmark = pytest.mark.engine
CLOUD = {"pageEmails": ["oncall@example.com"], "ticketEmails": ["team@example.com"]}
SIGNED = {
    "aws-staging": {
        "url": "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write",
        "sigv4": {"region": "eu-west-1"},
    },
    "gcp-staging": {
        "url": "https://monitoring.googleapis.com/v1/projects/models-of-acme/location/global/prometheus/api/v1/write",
        "google_iam": {},
    },
}
WRITER = {"aws-staging": "watch-writer-identity", "gcp-staging": "watch-writer"}
ALERTS = {"aws-staging": "watch-rules", "gcp-staging": "watch-unwatched"}
OUTPUTS = {
    "aws-staging": {"page_topic_arn", "ticket_topic_arn"},
    "gcp-staging": {"page_channels", "ticket_channels"},
}


@pytest.fixture
def made(tmp_path: Path, environment: dict[str, str], binaries: Mapping[str, Path]) -> Clouds:
    """A checkout whose engine finds the recorder."""
    assert binaries["pulumi"].exists()
    return clouds(tmp_path / "clouds", environment)


def by_name(made: Clouds, stack: str) -> dict[str, dict[str, Any]]:
    return {each["urn"].rpartition("::")[2]: each for each in made.work.resources(stack)}


def check_sending(made: Clouds, stack: str) -> None:
    """Prometheus is told where it writes, once it may."""
    state = by_name(made, stack)
    config = yaml.safe_load(state["monitoring-config-map"]["inputs"]["data"]["prometheus.yml"])
    (remote,) = config["remote_write"]
    assert {key: remote[key] for key in SIGNED[stack]} == SIGNED[stack]
    done = [each["name"] for each in made.noted("created")]
    order = ["cluster-control-plane", WRITER[stack], "monitoring-config-map", "monitoring-deployment"]
    assert sorted(order, key=done.index) == order


@pytest.mark.parametrize("stack", SIGNED)
def test_a_stack_with_alerts_in_its_cloud_lives_from_preview_to_an_empty_state(made: Clouds, stack: str) -> None:
    made.change(stack, "monitoring", cloud=CLOUD)
    planned = made.preview(made.initialised(stack))
    assert {*planned["changeSummary"]} == {"create"}
    names = {step["urn"].rpartition("::")[2] for step in planned["steps"]}
    assert {WRITER[stack], ALERTS[stack], "monitoring-config-map"} <= names
    made.up(stack)
    check_sending(made, stack)
    (outputs,) = (each["outputs"] for each in made.work.resources(stack) if each["type"] == "pulumi:pulumi:Stack")
    assert {*outputs} >= OUTPUTS[stack]
    assert {*made.preview(stack)["changeSummary"]} == {"same"}
    made.work.pulumi("destroy", "-s", stack, "--yes", "--skip-preview")
    assert made.work.resources(stack) == []
    gone = [each["name"] for each in made.noted("delete")]
    # What writes is gone before what lets it.
    order = ["monitoring-deployment", WRITER[stack], "cluster-control-plane"]
    assert sorted(order, key=gone.index) == order
