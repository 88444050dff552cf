"""`AmazonMonitoring`: what it registers in preview and in up, what it gives out, what it refuses."""

from typing import Any

import pytest
from modelway.monitoring.aws_documents import alert_groups

from tests.unit import aws_monitoring_checks, aws_testing, cloud_mutants
from tests.unit.aws_testing import MONITORING, UNKNOWN, AmazonMonitoring, EksCluster, Recorded
from tests.unit.cloud_testing import behind

TYPES = {
    "aws:amp/alertManagerDefinition:AlertManagerDefinition": 1,
    "aws:amp/ruleGroupNamespace:RuleGroupNamespace": 1,
    "aws:amp/workspace:Workspace": 1,
    "aws:amp/workspaceConfiguration:WorkspaceConfiguration": 1,
    "aws:cloudwatch/logGroup:LogGroup": 2,
    "aws:cloudwatch/metricAlarm:MetricAlarm": 1,
    "aws:eks/addon:Addon": 1,
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": 1,
    "aws:iam/role:Role": 2,
    "aws:iam/rolePolicy:RolePolicy": 1,
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": 1,
    "aws:kms/key:Key": 3,
    "aws:sns/topic:Topic": 2,
    "aws:sns/topicPolicy:TopicPolicy": 2,
    "aws:sns/topicSubscription:TopicSubscription": 4,
    "modelway:index:AmazonMonitoring": 1,
}


def missed(recorded: Recorded) -> bool:
    for check in aws_monitoring_checks.CHECKS:
        try:
            check(recorded)
        except (AssertionError, LookupError, ValueError, TypeError, AttributeError):
            return True
    return False


@pytest.mark.parametrize("check", aws_monitoring_checks.CHECKS, ids=lambda check: check.__name__)
def test_the_monitoring_is_as_stated(check: Any) -> None:
    check(aws_testing.monitoring())


def test_every_property_that_the_monitoring_loses_is_missed() -> None:
    made = list(cloud_mutants.mutants(aws_testing.monitoring()))
    assert [mutant.where for mutant in made if not missed(mutant.recorded)] == []
    assert len(made) > 200


@pytest.mark.parametrize("preview", [True, False])
def test_preview_and_up_register_the_same(preview: bool) -> None:
    recorded = aws_testing.monitoring(preview=preview)
    assert recorded.counts() == TYPES
    assert recorded.calls == ["aws:eks/getAddonVersion:getAddonVersion(amazon-cloudwatch-observability)"]
    definition = recorded.inputs("watch-alert-manager")["definition"]
    assert (definition == UNKNOWN) is preview


def test_without_container_insights_there_is_neither_add_on_nor_alarm() -> None:
    recorded = aws_testing.monitoring({**MONITORING, "container_insights": False})
    assert recorded.names("aws:eks/addon:Addon") == recorded.names("aws:cloudwatch/metricAlarm:MetricAlarm") == []
    assert recorded.names("aws:cloudwatch/logGroup:LogGroup") == ["watch-workspace-logs"]
    assert recorded.calls == []


def test_in_development_nothing_is_protected() -> None:
    recorded = aws_testing.monitoring({**MONITORING, "production": False})
    assert not any(options["protect"] for options in recorded.options.values())


def test_prometheus_is_told_where_to_write_once_it_may() -> None:
    seen: dict[str, str] = {}

    def program() -> None:
        made = AmazonMonitoring("watch", MONITORING)  # type: ignore[arg-type]
        for name in ("remote_write_url", "query_url", "page_topic_arn", "ticket_topic_arn"):
            getattr(made, name).apply(lambda value, key=name: seen.update({key: value}))

    aws_testing.record(program)
    endpoint = "${aws_prometheus_workspace.watch-workspace.prometheus_endpoint}"
    assert seen == {
        "remote_write_url": f"{endpoint}api/v1/remote_write",
        "query_url": endpoint,
        "page_topic_arn": "${aws_sns_topic.watch-pages.arn}",
        "ticket_topic_arn": "${aws_sns_topic.watch-tickets.arn}",
    }
    assert {"watch-writer-policy", "watch-workspace"} <= behind(aws_testing.monitoring(), "watch-writer-identity")


def test_only_what_lies_in_the_cluster_waits_for_it() -> None:
    def program() -> None:
        cluster = EksCluster("cluster", aws_testing.PRODUCTION)  # type: ignore[arg-type]
        AmazonMonitoring("watch", {**MONITORING, "running_cluster": cluster.name})  # type: ignore[typeddict-item]

    recorded = aws_testing.record(program)
    ours = [name for name in recorded.options if name.startswith("watch-")]
    waiting = sorted(name for name in ours if "cluster-control-plane" in behind(recorded, name))
    assert waiting == ["watch-insights", "watch-writer-identity"]


def test_groups_hold_at_most_as_many_alerts_as_the_service_takes() -> None:
    rules = {"groups": [{"rules": [{"record": "a"}, *({"alert": str(number)} for number in range(40))]}]}
    groups = alert_groups(rules)
    assert [len(group["rules"]) for group in groups] == [20, 20, 1]
    assert [group["name"] for group in groups] == ["modelway-0", "modelway-1", "modelway-2"]
    assert [rule["alert"] for group in groups for rule in group["rules"]] == [
        *(str(number) for number in range(40)),
        "ModelwayUnwatched",
    ]


SLO = MONITORING["slos"][0]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"region": "eu-west1"},
            "region: unknown region: got 'eu-west1', allowed a region of AWS; did you mean 'eu-west-1'?",
        ),
        (
            {"deployer_role_arn": "me"},
            "deployer_role_arn: no ARN of a role: got 'me', allowed arn:aws:iam::ACCOUNT:role/NAME; correct it.",
        ),
        (
            {"cluster_name": "a b"},
            "cluster_name: no name of a cluster: got 'a b', allowed letters, digits, '-' and '_', at most 100; "
            "correct it.",
        ),
        ({"retention_days": 2000}, "retention_days: out of range: got 2000, allowed 1 to 1095; change it."),
        ({"page_emails": ["me"]}, "page_emails: no address: got 'me', allowed NAME@HOST; correct it."),
        ({"ticket_emails": ["a@b", "a@b"]}, "ticket_emails: named twice: got 'a@b', allowed each once; remove one."),
        (
            {"page_url": "http://x"},
            "page_url: no URL that pages may go to: got another scheme, allowed https://…; correct it.",
        ),
        (
            {"slos": []},
            "slos: nothing to watch: got none, allowed one or more objectives; add one, or leave the component out.",
        ),
        (
            {"slos": [SLO, SLO]},
            "slos: two objectives of one version: got iris v1 twice, allowed one each; remove one.",
        ),
        (
            {"slos": [{**SLO, "availability_percent": 100}]},
            "slos iris v1.availability_percent: out of range: got 100, allowed 95 to 99.999; change it.",
        ),
        (
            {"pageurl": "x"},
            "pageurl: unknown argument: got 'pageurl', allowed region, deployer_role_arn, cluster_name, "
            "running_cluster, kubernetes_version, production, slos, retention_days, page_emails, page_url, ticket_emails, "
            "container_insights, writer_namespace, tags; did you mean 'page_url'?",
        ),
    ],
)
def test_one_mistake_is_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    def program() -> None:
        with pytest.raises(ValueError, match="AmazonMonitoring") as caught:
            AmazonMonitoring("watch", {**MONITORING, **changes})  # type: ignore[typeddict-item]
        assert str(caught.value) == f'AmazonMonitoring("watch").{sentence}'

    assert aws_testing.record(program).counts() == {"modelway:index:AmazonMonitoring": 1}
