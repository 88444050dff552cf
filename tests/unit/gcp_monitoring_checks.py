"""What the monitoring in Google Cloud must register, property by property, stated without the code that writes it."""

from typing import Any

from modelway.monitoring.slo import slo_groups, slo_of

from tests.unit.gcp_testing import MONITORING, NUMBER, PROJECT, Recorded

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
"""The signature that marks a secret."""
LABELS = {"modelway-cluster": "models"}
CHANNELS: dict[str, dict[str, Any]] = {
    "page-email-0": {"type": "email", "labels": {"email_address": "oncall@example.com"}},
    "page-pagerduty": {"type": "pagerduty", "sensitiveLabels": {**SECRET, "value": {"serviceKey": "key"}}},
    "ticket-email-0": {"type": "email", "labels": {"email_address": "team@example.com"}},
    "ticket-email-1": {"type": "email", "labels": {"email_address": "lead@example.com"}},
}
SEVERITIES = {"page": "CRITICAL", "ticket": "WARNING"}


def service(recorded: Recorded) -> None:
    expected = {"project": PROJECT, "service": "monitoring.googleapis.com", "disableOnDestroy": False}
    assert recorded.inputs("watch-service-monitoring") == expected


def channels(recorded: Recorded) -> None:
    for name, kind in CHANNELS.items():
        inputs = dict(recorded.inputs(f"watch-{name}"))
        assert inputs.pop("displayName") == f"modelway models {name}"
        assert inputs == {"project": PROJECT, "enabled": True, "forceDelete": False, "userLabels": LABELS, **kind}


def _told(severity: str) -> list[str]:
    names = [name for name in CHANNELS if name.startswith(severity)]
    return [f"${{google_monitoring_notification_channel.watch-{name}.name}}" for name in names]


def _policy(recorded: Recorded, name: str, labels: dict[str, str], condition: dict[str, Any], notes: str) -> None:
    inputs = dict(recorded.inputs(name))
    display = " ".join(
        [f"models: {condition['alertRule']}", *(labels[key] for key in ("model", "version") if key in labels)]
    )
    assert inputs.pop("displayName") == display
    (found,) = inputs.pop("conditions")
    assert found.pop("displayName") == condition["alertRule"]
    fixed = {"evaluationInterval": "30s", "ruleGroup": "modelway", "disableMetricValidation": True, "labels": labels}
    assert found == {"conditionPrometheusQueryLanguage": {**fixed, **condition}}
    assert inputs == {
        "project": PROJECT,
        "combiner": "OR",
        "enabled": True,
        "severity": SEVERITIES[labels["severity"]],
        "documentation": {"content": notes, "mimeType": "text/markdown"},
        "notificationChannels": _told(labels["severity"]),
        "alertStrategy": {"autoClose": "1800s", "notificationPrompts": ["OPENED", "CLOSED"]},
        "userLabels": {**LABELS, **labels},
    }


def policies(recorded: Recorded) -> None:
    """One policy per alert of the objectives, with its expression, for the series of this cluster."""
    groups = slo_groups([slo_of(slo) for slo in MONITORING["slos"]])
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    assert len(alerts) == 6
    names = ["watch-unwatched"]
    for rule in alerts:
        labels, notes = rule["labels"], rule["annotations"]
        query = rule["expr"].replace('{model="iris"', '{cluster="models",model="iris"')
        assert query.count("cluster=") == 4
        names.append("-".join(["watch", *(labels[key] for key in ("model", "version", "slo", "severity"))]))
        condition = {"alertRule": rule["alert"], "query": query, "duration": "0s"}
        _policy(recorded, names[-1], labels, condition, f"{notes['summary']}\n\n{notes['runbook_url']}")
    assert recorded.names("gcp:monitoring/alertPolicy:AlertPolicy") == sorted(names)


def unwatched(recorded: Recorded) -> None:
    """Five minutes without any recorded series page, since nothing else would."""
    query = 'absent(model_version:modelway_absent:bool{cluster="models",model=~".+"})'
    notes = (
        "Nothing has come from the cluster's Prometheus: its models are not watched\n\n"
        "docs/runbooks/modelway-unwatched.md"
    )
    condition = {"alertRule": "ModelwayUnwatched", "query": query, "duration": "300s"}
    _policy(recorded, "watch-unwatched", {"severity": "page"}, condition, notes)


def writer(recorded: Recorded) -> None:
    pool = f"projects/{NUMBER}/locations/global/workloadIdentityPools/{PROJECT}.svc.id.goog"
    assert recorded.inputs("watch-writer") == {
        "project": PROJECT,
        "role": "roles/monitoring.metricWriter",
        "member": f"principal://iam.googleapis.com/{pool}/subject/ns/modelway-monitoring/sa/prometheus",
    }


CHECKS = (service, channels, policies, unwatched, writer)
