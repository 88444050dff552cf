"""What the monitoring of an EKS cluster must register, property by property, stated without the code that writes it."""

import json
from typing import Any

import yaml
from modelway.monitoring.slo import slo_groups, slo_of

from tests.unit.aws_testing import ACCOUNT, MONITORING, Recorded

WORKSPACE, LOGS = "aws_prometheus_workspace.watch-workspace", "/aws/vendedlogs/prometheus/cluster"
INSIGHTS_LOGS = "/aws/containerinsights/cluster/performance"
PUBLISHERS = ["aps.amazonaws.com", "cloudwatch.amazonaws.com"]
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
"""The signature that marks a secret."""


def statements(*found: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(found)}


OWNER = {
    "Sid": "AccountDecidesByIam",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    "Action": "kms:*",
    "Resource": "*",
}
LOG_GROUPS = {
    "Sid": "LogGroups",
    "Effect": "Allow",
    "Principal": {"Service": "logs.eu-west-1.amazonaws.com"},
    "Action": ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
    "Resource": "*",
    "Condition": {
        "ArnEquals": {
            "kms:EncryptionContext:aws:logs:arn": [
                f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:{name}" for name in (LOGS, INSIGHTS_LOGS)
            ]
        }
    },
}
PUBLISHING = {
    "Sid": "Publishers",
    "Effect": "Allow",
    "Principal": {"Service": PUBLISHERS},
    "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
    "Resource": "*",
    "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}},
}
KEYS = {"workspace": [OWNER], "logs": [OWNER, LOG_GROUPS], "topics": [OWNER, PUBLISHING]}


def arn(kind: str, name: str) -> str:
    return f"${{aws_{kind}.{name}.arn}}"


def bare(recorded: Recorded, name: str) -> dict[str, Any]:
    """Inputs without what only names the resource."""
    return {key: value for key, value in recorded.inputs(name).items() if key not in ("tags", "description")}


def policy(recorded: Recorded, name: str, key: str = "policy") -> Any:
    return json.loads(recorded.inputs(name)[key])


def keys(recorded: Recorded) -> None:
    for role, found in KEYS.items():
        inputs = bare(recorded, f"watch-{role}-key")
        assert json.loads(inputs.pop("policy")) == statements(*found)
        assert inputs == {"enableKeyRotation": True, "deletionWindowInDays": 30}


def workspace(recorded: Recorded) -> None:
    """Encrypted with a key of the customer, what it does is logged, and samples stay as long as said."""
    assert bare(recorded, "watch-workspace") == {
        "alias": "modelway-cluster",
        "kmsKeyArn": arn("kms_key", "watch-workspace-key"),
        "loggingConfiguration": {"logGroupArn": arn("cloudwatch_log_group", "watch-workspace-logs") + ":*"},
    }
    configuration = {"retentionPeriodInDays": 150, "workspaceId": f"${{{WORKSPACE}.id}}"}
    assert bare(recorded, "watch-workspace-configuration") == configuration
    for role, name in (("workspace", LOGS), ("insights", INSIGHTS_LOGS)):
        key = arn("kms_key", "watch-logs-key")
        assert bare(recorded, f"watch-{role}-logs") == {"name": name, "kmsKeyId": key, "retentionInDays": 400}


def topics(recorded: Recorded) -> None:
    """Encrypted, for the workspace and the alarms only; each subscription as it was asked for."""
    for topic in ("pages", "tickets"):
        own = arn("sns_topic", f"watch-{topic}")
        assert bare(recorded, f"watch-{topic}") == {"kmsMasterKeyId": arn("kms_key", "watch-topics-key")}
        inputs = bare(recorded, f"watch-{topic}-policy")
        assert json.loads(inputs.pop("policy")) == statements(
            {
                "Sid": "AlertsAndAlarms",
                "Effect": "Allow",
                "Principal": {"Service": PUBLISHERS},
                "Action": ["sns:GetTopicAttributes", "sns:Publish"],
                "Resource": own,
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": ACCOUNT},
                    "ArnLike": {
                        "aws:SourceArn": [
                            f"${{{WORKSPACE}.arn}}",
                            f"arn:aws:cloudwatch:eu-west-1:{ACCOUNT}:alarm:modelway-cluster-*",
                        ]
                    },
                },
            },
            {
                "Sid": "OnlyOverTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sns:Publish",
                "Resource": own,
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        )
        assert inputs == {"arn": own}
    subscriptions = {
        "page-email-0": ("pages", "email", "oncall@example.com"),
        "page-url": ("pages", "https", {**SECRET, "value": "https://events.example/integration"}),
        "ticket-email-0": ("tickets", "email", "team@example.com"),
        "ticket-email-1": ("tickets", "email", "lead@example.com"),
    }
    for name, (topic, protocol, endpoint) in subscriptions.items():
        expected = {"topic": arn("sns_topic", f"watch-{topic}"), "protocol": protocol, "endpoint": endpoint}
        assert bare(recorded, f"watch-{name}") == expected


def rules(recorded: Recorded) -> None:
    """Every alert of the objectives and nothing else, so that no series is recorded twice."""
    inputs = bare(recorded, "watch-rules")
    (group,) = yaml.safe_load(inputs.pop("data"))["groups"]
    groups = slo_groups([slo_of(slo) for slo in MONITORING["slos"]])
    alerts = [rule for each in groups for rule in each["rules"] if "alert" in rule]
    assert len(alerts) == 6
    unwatched = group["rules"].pop()
    assert group == {"name": "modelway-0", "interval": "1m", "rules": alerts}
    assert (unwatched["alert"], unwatched["for"], unwatched["labels"]) == (
        "ModelwayUnwatched",
        "5m",
        {"severity": "page"},
    )
    assert unwatched["expr"] == 'absent(model_version:modelway_absent:bool{model=~".+"})'
    assert unwatched["annotations"]["runbook_url"] == "docs/runbooks/modelway-unwatched.md"
    assert inputs == {"name": "modelway", "workspaceId": f"${{{WORKSPACE}.id}}"}
    inputs = bare(recorded, "watch-alert-manager")
    config = yaml.safe_load(yaml.safe_load(inputs.pop("definition"))["alertmanager_config"])
    pages = {"group_wait": "5s", "group_interval": "60s", "repeat_interval": "4h"}
    tickets = {"group_wait": "120s", "group_interval": "600s", "repeat_interval": "24h"}
    group_by = {"group_by": ["alertname", "model"]}
    assert config == {
        "route": {
            "receiver": "ticket",
            **group_by,
            **tickets,
            "routes": [{"receiver": "page", "matchers": ['severity="page"'], **group_by, **pages}],
        },
        "receivers": [
            {
                "name": name,
                "sns_configs": [
                    {
                        "topic_arn": arn("sns_topic", f"watch-{name}s"),
                        "sigv4": {"region": "eu-west-1"},
                        "send_resolved": True,
                    }
                ],
            }
            for name in ("page", "ticket")
        ],
    }
    assert inputs == {"workspaceId": f"${{{WORKSPACE}.id}}"}


def trust(namespace: str, account: str) -> dict[str, Any]:
    return statements(
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {
                "StringEquals": {
                    "aws:RequestTag/eks-cluster-arn": f"arn:aws:eks:eu-west-1:{ACCOUNT}:cluster/cluster",
                    "aws:RequestTag/kubernetes-namespace": namespace,
                    "aws:RequestTag/kubernetes-service-account": account,
                }
            },
        }
    )


def writer(recorded: Recorded) -> None:
    """Prometheus may write to this workspace, and do nothing else."""
    assert policy(recorded, "watch-writer-role", "assumeRolePolicy") == trust("modelway-monitoring", "prometheus")
    inputs = bare(recorded, "watch-writer-policy")
    write = {"Sid": "Write", "Effect": "Allow", "Action": ["aps:RemoteWrite"], "Resource": [f"${{{WORKSPACE}.arn}}"]}
    assert json.loads(inputs.pop("policy")) == statements(write)
    assert inputs == {"role": "${aws_iam_role.watch-writer-role.name}"}
    assert bare(recorded, "watch-writer-identity") == {
        "clusterName": "cluster",
        "namespace": "modelway-monitoring",
        "serviceAccount": "prometheus",
        "roleArn": arn("iam_role", "watch-writer-role"),
    }


def insights(recorded: Recorded) -> None:
    inputs = bare(recorded, "watch-insights")
    assert json.loads(inputs.pop("configurationValues")) == {"containerLogs": {"enabled": False}}
    role = arn("iam_role", "watch-insights-role")
    assert inputs == {
        "addonName": "amazon-cloudwatch-observability",
        "addonVersion": "v1-amazon-cloudwatch-observability",
        "clusterName": "cluster",
        "podIdentityAssociations": [{"roleArn": role, "serviceAccount": "cloudwatch-agent"}],
        "resolveConflictsOnCreate": "OVERWRITE",
        "resolveConflictsOnUpdate": "OVERWRITE",
    }
    agent = trust("amazon-cloudwatch", "cloudwatch-agent")
    assert policy(recorded, "watch-insights-role", "assumeRolePolicy") == agent
    assert bare(recorded, "watch-insights-CloudWatchAgentServerPolicy") == {
        "policyArn": "arn:aws:iam::aws:policy/CloudWatchAgentServerPolicy",
        "role": "${aws_iam_role.watch-insights-role.name}",
    }


def alarms(recorded: Recorded) -> None:
    """A version without any pod pages after two minutes, unless it may have none."""
    found = recorded.names("aws:cloudwatch/metricAlarm:MetricAlarm")
    assert found == ["watch-absent-iris-v1"]
    inputs = bare(recorded, found[0])
    assert "iris v1: no pod runs" in inputs.pop("alarmDescription")
    assert inputs == {
        "name": "modelway-cluster-absent-iris-v1",
        "namespace": "ContainerInsights",
        "metricName": "service_number_of_running_pods",
        "dimensions": {"ClusterName": "cluster", "Namespace": "modelway-models", "Service": "iris-v1"},
        "statistic": "Maximum",
        "period": 60,
        "evaluationPeriods": 2,
        "datapointsToAlarm": 2,
        "comparisonOperator": "LessThanThreshold",
        "threshold": 1,
        "treatMissingData": "breaching",
        "actionsEnabled": True,
        "alarmActions": [arn("sns_topic", "watch-pages")],
        "okActions": [arn("sns_topic", "watch-pages")],
    }


def protection(recorded: Recorded) -> None:
    """Samples and keys survive a destroy."""
    protected = {name for name, options in recorded.options.items() if options["protect"]}
    assert protected == {"watch-workspace", "watch-workspace-key", "watch-logs-key", "watch-topics-key"}


CHECKS = (keys, workspace, topics, rules, writer, insights, alarms, protection)
