"""Alerts and logs in the cluster's own cloud by the real engine, from the first preview to an empty state; no cloud is asked.

One life of each stack; the tests say what was seen in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.engine.cloud_stacks import Clouds, clouds
from tests.judges import checkov, cloud_alerts, terraform
from tests.unit.cloud_testing import Resource

pytestmark = pytest.mark.engine
CLOUD = {"pageEmails": ["oncall@example.com"], "ticketEmails": ["team@example.com"]}
AWS, GOOGLE = "aws-staging", "gcp-staging"
STACKS = (AWS, GOOGLE)
SIGNED: dict[str, dict[str, Any]] = {
    AWS: {
        "url": "https://aps-workspaces.eu-west-1.amazonaws.com/workspaces/ws-1/api/v1/remote_write",
        "sigv4": {"region": "eu-west-1"},
    },
    GOOGLE: {
        "url": "https://monitoring.googleapis.com/v1/projects/models-of-acme/location/global/prometheus/api/v1/write",
        "google_iam": {},
    },
}
WRITER = {AWS: "watch-writer-identity", GOOGLE: "watch-writer"}
LOGS = {AWS: "cloudwatch", GOOGLE: "cloudLogging"}
LOG_WRITER = {AWS: "log-group-writer-identity", GOOGLE: "log-access-writer"}
OURS = (".watch-", ".log-group-", ".log-access-")
OUTPUTS = {AWS: {"page_topic_arn", "ticket_topic_arn"}, GOOGLE: {"page_channels", "ticket_channels"}}


@dataclass(frozen=True)
class Life:
    """What was seen of one stack."""

    planned: Mapping[str, int]
    made: list[str]
    """In the order in which they were there."""
    state: list[dict[str, Any]]
    again: Mapping[str, int]
    """The plan right after."""
    gone: list[str]
    """In the order in which they went."""
    left: list[dict[str, Any]]

    def inputs(self, name: str) -> dict[str, Any]:
        """Inputs of one resource."""
        (found,) = [each["inputs"] for each in self.state if each["urn"].endswith(f"::{name}")]
        return dict(found)

    def resources(self) -> list[Resource]:
        """What the clouds were asked to make."""
        kinds = ("aws:", "gcp:")
        return [
            Resource(each["type"], each["urn"].rpartition("::")[2], each["inputs"])
            for each in self.state
            if each["type"].startswith(kinds)
        ]


def lived(made: Clouds, stack: str) -> Life:
    made.change(stack, "monitoring", cloud=CLOUD)
    made.change(stack, "logs", destination=LOGS[stack])
    planned = made.preview(made.initialised(stack))["changeSummary"]
    made.up(stack)
    state = made.work.resources(stack)
    again = made.preview(stack)["changeSummary"]
    made.work.pulumi("destroy", "-s", stack, "--yes", "--skip-preview")
    done, gone = ([each["name"] for each in made.noted(operation)] for operation in ("created", "delete"))
    return Life(planned, done, state, again, gone, made.work.resources(stack))


@pytest.fixture(scope="module")
def lives(
    tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str], binaries: Mapping[str, Path]
) -> dict[str, Life]:
    assert binaries["pulumi"].exists()
    return {stack: lived(clouds(tmp_path_factory.mktemp(stack), environment), stack) for stack in STACKS}


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_is_made_changes_nothing_again_and_leaves_nothing(lives: dict[str, Life], stack: str) -> None:
    life = lives[stack]
    assert ({*life.planned}, {*life.again}, life.left) == ({"create"}, {"same"}, [])
    assert {*life.state[0]["outputs"]} >= OUTPUTS[stack]


@pytest.mark.parametrize("stack", STACKS)
def test_prometheus_is_told_where_it_writes_once_it_may(lives: dict[str, Life], stack: str) -> None:
    life = lives[stack]
    config = yaml.safe_load(life.inputs("monitoring-config-map")["data"]["prometheus.yml"])
    (remote,) = config["remote_write"]
    assert {key: remote[key] for key in SIGNED[stack]} == SIGNED[stack]
    order = ["cluster-control-plane", WRITER[stack], "monitoring-config-map", "monitoring-deployment"]
    assert sorted(order, key=life.made.index) == order
    assert sorted(order[1:], key=life.gone.index) == order[:0:-1]


@pytest.mark.parametrize("stack", STACKS)
def test_the_collector_starts_once_it_may_write(lives: dict[str, Life], stack: str) -> None:
    order = ["cluster-control-plane", LOG_WRITER[stack], "logs-daemon-set"]
    assert sorted(order, key=lives[stack].made.index) == order
    assert sorted(order[1:], key=lives[stack].gone.index) == order[:0:-1]


def test_checkov_finds_nothing(lives: dict[str, Life], tmp_path: Path) -> None:
    for stack, life in lives.items():
        (tmp_path / stack).mkdir()
        (tmp_path / stack / "main.tf").write_text(terraform.write(life.resources()), encoding="utf-8")
    verdict = checkov.judge(tmp_path)
    ours = {(row[0], name) for row in verdict.passed for name in OURS if name in row[2]}
    assert ours == {(AWS, ".watch-"), (AWS, ".log-group-"), (GOOGLE, ".watch-"), (GOOGLE, ".log-access-")}
    assert [row for row in verdict.failed if any(name in row[2] for name in OURS)] == []
    assert verdict.skipped == []


def test_the_clouds_take_every_alarm_policy_and_channel(lives: dict[str, Life]) -> None:
    alarms = cloud_alerts.alarms(lives[AWS].resources())
    assert sorted(alarms) == [f"modelway-modelway-staging-absent-breast-cancer-{name}" for name in ("v1", "v2")]
    assert cloud_alerts.refused_by_cloudwatch(alarms) == {}
    objects = cloud_alerts.google_objects(lives[GOOGLE].resources())
    assert {group: len(found) for group, found in objects.items()} == {"policies": 9, "channels": 2}
    assert cloud_alerts.refused_by_google(objects) == {}
