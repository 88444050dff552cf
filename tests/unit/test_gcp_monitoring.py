"""`GoogleMonitoring`: what it registers in preview and in up, what it gives out, what it refuses."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit import cloud_mutants, gcp_monitoring_checks, gcp_testing
from tests.unit.cloud_testing import behind
from tests.unit.gcp_testing import MONITORING, PRODUCTION, PROJECT, GkeCluster, GoogleMonitoring, Recorded
from tools.progress import Progress
from tools.toolchain import ensure

TYPES = {
    "gcp:monitoring/alertPolicy:AlertPolicy": 7,
    "gcp:monitoring/notificationChannel:NotificationChannel": 4,
    "gcp:projects/iAMMember:IAMMember": 1,
    "gcp:projects/service:Service": 1,
    "modelway:index:GoogleMonitoring": 1,
}


def missed(recorded: Recorded) -> bool:
    for check in gcp_monitoring_checks.CHECKS:
        try:
            check(recorded)
        except (AssertionError, LookupError, ValueError, TypeError, AttributeError):
            return True
    return False


@pytest.mark.parametrize("check", gcp_monitoring_checks.CHECKS, ids=lambda check: check.__name__)
def test_the_monitoring_is_as_stated(check: Any) -> None:
    check(gcp_testing.monitoring())


def test_every_property_that_the_monitoring_loses_is_missed() -> None:
    made = list(cloud_mutants.mutants(gcp_testing.monitoring()))
    assert [mutant.where for mutant in made if not missed(mutant.recorded)] == []
    assert len(made) > 200


@pytest.mark.parametrize("preview", [True, False])
def test_preview_and_up_register_the_same(preview: bool) -> None:
    recorded = gcp_testing.monitoring(preview=preview)
    assert recorded.counts() == TYPES
    assert recorded.calls == [f"gcp:organizations/getProject:getProject({PROJECT})"]


def test_promtool_accepts_every_condition(tmp_path: Path) -> None:
    policies = gcp_testing.monitoring().typed("gcp:monitoring/alertPolicy:AlertPolicy")
    queries = [policy.inputs["conditions"][0]["conditionPrometheusQueryLanguage"]["query"] for policy in policies]
    rules = [{"alert": f"A{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    promtool = ensure(["promtool"], Progress())["promtool"].path
    done = subprocess.run(
        [promtool, "check", "rules", "rules.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_is_told_where_to_write_once_it_may() -> None:
    seen: dict[str, Any] = {}

    def program() -> None:
        made = GoogleMonitoring("watch", MONITORING)  # type: ignore[arg-type]
        for name in ("remote_write_url", "page_channels", "ticket_channels"):
            getattr(made, name).apply(lambda value, key=name: seen.update({key: value}))

    gcp_testing.record(program)
    channel = "${{google_monitoring_notification_channel.watch-{}.name}}"
    assert seen == {
        "remote_write_url": f"https://monitoring.googleapis.com/v1/projects/{PROJECT}/location/global/prometheus/api/v1/write",
        "page_channels": [channel.format("page-email-0"), channel.format("page-pagerduty")],
        "ticket_channels": [channel.format("ticket-email-0"), channel.format("ticket-email-1")],
    }


def test_who_writes_is_named_once_the_project_knows_its_service_accounts() -> None:
    def program() -> None:
        cluster = GkeCluster("cluster", PRODUCTION)  # type: ignore[arg-type]
        GoogleMonitoring("watch", {**MONITORING, "running_cluster": cluster.name})  # type: ignore[typeddict-item]

    recorded = gcp_testing.record(program)
    ours = [name for name in recorded.options if name.startswith("watch-")]
    assert [name for name in ours if "cluster-control-plane" in behind(recorded, name)] == ["watch-writer"]
    gcp_monitoring_checks.writer(recorded)


SLO = MONITORING["slos"][0]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"project": "111122223333"},
            "project: an account of AWS: got '111122223333', allowed 6 to 30 lower-case letters, digits and '-', "
            "a letter first; see `gcloud projects list`.",
        ),
        (
            {"region": "eu-west-1"},
            "region: a region of AWS: got 'eu-west-1', allowed a region of Google Cloud; move the stack or the cloud.",
        ),
        (
            {"cluster_name": "a b"},
            "cluster_name: no name of a cluster: got 'a b', allowed lower-case letters, digits and '-'; correct it.",
        ),
        ({"page_emails": ["me"]}, "page_emails: no address: got 'me', allowed NAME@HOST; correct it."),
        ({"ticket_emails": ["a@b", "a@b"]}, "ticket_emails: named twice: got 'a@b', allowed each once; remove one."),
        (
            {"slos": []},
            "slos: nothing to watch: got none, allowed one or more objectives; add one, or leave the component out.",
        ),
        (
            {"slos": [SLO, SLO]},
            "slos: two objectives of one version: got iris v1 twice, allowed one each; remove one.",
        ),
        (
            {"slos": [{**SLO, "availability_percent": 0}]},
            "slos iris v1.availability_percent: out of range: got 0, allowed 95 to 99.999; change it.",
        ),
        (
            {"page_email": ["a@b"]},
            "page_email: unknown argument: got 'page_email', allowed project, region, cluster_name, running_cluster, "
            "slos, page_emails, page_pagerduty_key, ticket_emails, writer_namespace, labels; did you mean 'page_emails'?",
        ),
    ],
)
def test_one_mistake_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    def program() -> None:
        with pytest.raises(ValueError, match="GoogleMonitoring") as caught:
            GoogleMonitoring("watch", {**MONITORING, **changes})  # type: ignore[typeddict-item]
        assert str(caught.value) == f'GoogleMonitoring("watch").{sentence}'

    assert gcp_testing.record(program).counts() == {"modelway:index:GoogleMonitoring": 1}
