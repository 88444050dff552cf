"""Alerts about the watching itself: a configuration not taken, rules that fail, notifications that do not arrive."""

from typing import Any


def self_watch_groups() -> list[dict[str, Any]]:
    """One rule group, whatever is promised of models; a Prometheus without Alertmanager lacks the last one's series."""
    rules = [
        _alert(
            "ModelwayConfigRefused",
            'prometheus_config_last_reload_successful{job="prometheus"} == 0',
            "ticket",
            "Prometheus has not taken its changed configuration",
            "Alerts and series are those of the configuration before it.",
            "1m",
        ),
        _alert(
            "ModelwayRulesFailing",
            'sum by (rule_group) (increase(prometheus_rule_evaluation_failures_total{job="prometheus"}[5m])) > 0',
            "ticket",
            "Rules of Prometheus fail",
            "Alerts and dashboards that read what these record see nothing new.",
        ),
        _alert(
            "ModelwayAlertsUndelivered",
            'sum by (integration) (increase(alertmanager_notifications_failed_total{job="alertmanager"}[5m])) > 0 '
            'or sum(increase(prometheus_notifications_errors_total{job="prometheus"}[5m])) > 0',
            "page",
            "Notifications about alerts do not arrive",
            "Whoever is told by this way alone knows nothing of alerts that fire now.",
        ),
    ]
    return [{"name": "modelway_self_watch", "rules": rules}]


def _alert(
    name: str, expression: str, severity: str, summary: str, description: str, lasts: str = "0s"
) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expression,
        "for": lasts,
        "labels": {"severity": severity},
        "annotations": {
            "summary": summary,
            "description": description,
            "runbook_url": "docs/runbooks/modelway-watching.md",
        },
    }
