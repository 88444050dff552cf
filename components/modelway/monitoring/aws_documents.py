"""What AWS is told about alerts and who may do what, as pure functions."""

from collections.abc import Sequence
from typing import Any

import yaml

from modelway.cluster.eks.iam import Document, allow, document, key_policy
from modelway.monitoring.receivers import Route
from modelway.monitoring.receivers_args import PAGE_DEFAULTS, TICKET_DEFAULTS
from modelway.monitoring.unwatched import unwatched_rule

RULES_PER_GROUP = 20
"""Most in one group unless AWS raises it: the quota "Rules per rule group" of the service `aps`
(https://docs.aws.amazon.com/prometheus/latest/userguide/AMP_quotas.html)."""
INTERVAL = "1m"
"""The service's own; Prometheus in the cluster decides within seconds."""
_PUBLISHERS = ("aps.amazonaws.com", "cloudwatch.amazonaws.com")


def alert_groups(rules: dict[str, Any]) -> list[dict[str, Any]]:
    """Groups of the alerts among the rules, which need recorded series only, and of the one for when those stay away.

    What Prometheus in the cluster has recorded is written to the workspace: recorded there once more, each series
    would come from two sides.
    """
    alerts = [rule for group in rules["groups"] for rule in group["rules"] if "alert" in rule]
    alerts.append(unwatched_rule())
    return [
        {
            "name": f"modelway-{first // RULES_PER_GROUP}",
            "interval": INTERVAL,
            "rules": alerts[first:][:RULES_PER_GROUP],
        }
        for first in range(0, len(alerts), RULES_PER_GROUP)
    ]


def rules_data(rules: dict[str, Any]) -> str:
    """The file of a rule group namespace."""
    return yaml.safe_dump({"groups": alert_groups(rules)}, sort_keys=False, width=1000)


def alert_manager_definition(region: str, page_topic: str, ticket_topic: str) -> str:
    """Definition of the workspace's Alertmanager: a topic for pages and one for tickets.

    Source: https://docs.aws.amazon.com/prometheus/latest/userguide/AMP-alertmanager-config.html
    """
    topics = {"page": page_topic, "ticket": ticket_topic}
    config = {
        "route": {
            "receiver": "ticket",
            **_timing(TICKET_DEFAULTS),
            "routes": [{"receiver": "page", "matchers": ['severity="page"'], **_timing(PAGE_DEFAULTS)}],
        },
        "receivers": [
            {
                "name": name,
                "sns_configs": [{"topic_arn": topic, "sigv4": {"region": region}, "send_resolved": True}],
            }
            for name, topic in topics.items()
        ],
    }
    return yaml.safe_dump({"alertmanager_config": yaml.safe_dump(config, sort_keys=False)}, sort_keys=False)


def _timing(route: Route) -> dict[str, Any]:
    return {
        "group_by": ["alertname", "model"],
        "group_wait": f"{route.group_wait_seconds}s",
        "group_interval": f"{route.group_interval_seconds}s",
        "repeat_interval": f"{route.repeat_hours}h",
    }


def topics_key_policy(account: str) -> Document:
    """Policy of the key of the topics, which those who publish use for this account."""
    return document(
        *key_policy(account)["Statement"],
        {
            "Sid": "Publishers",
            "Effect": "Allow",
            "Principal": {"Service": list(_PUBLISHERS)},
            "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceAccount": account}},
        },
    )


def topic_policy(topic: str, account: str, sources: Sequence[str]) -> Document:
    """Who may publish: the workspace and the alarms of the account, named as patterns of ARNs, over TLS."""
    return document(
        {
            "Sid": "AlertsAndAlarms",
            "Effect": "Allow",
            "Principal": {"Service": list(_PUBLISHERS)},
            "Action": ["sns:GetTopicAttributes", "sns:Publish"],
            "Resource": topic,
            "Condition": {"StringEquals": {"aws:SourceAccount": account}, "ArnLike": {"aws:SourceArn": list(sources)}},
        },
        {
            "Sid": "OnlyOverTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "sns:Publish",
            "Resource": topic,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        },
    )


def writer(workspace: str) -> Document:
    """What Prometheus in the cluster does with the workspace."""
    return document(allow("Write", ["aps:RemoteWrite"], [workspace]))
