"""Alerts about the watching itself, judged by promtool: when they fire, when not, and when they end."""

from pathlib import Path

from modelway.monitoring.self_watch import self_watch_groups

from tests.engine.alert_judging import Proven, judge, values

NAMES = {
    "ModelwayConfigRefused": 'prometheus_config_last_reload_successful{job="prometheus"}',
    "ModelwayRulesFailing": 'prometheus_rule_evaluation_failures_total{job="prometheus",rule_group="r.yml;modelway"}',
    "ModelwayAlertsUndelivered": 'alertmanager_notifications_failed_total{job="alertmanager",integration="slack"}',
}
PROVEN = Proven(*(frozenset(NAMES) for _ in range(3)))


def test_each_fires_while_it_is_so_and_only_then(tmp_path: Path) -> None:
    """Steps of half a minute: ten minutes as it should be, ten broken, and ten as it should be."""
    failures = values((20, 0), (20, 1), (30, 0))
    config, rules, undelivered = NAMES.values()
    series = [
        {"series": config, "values": "1x19 0x20 1x30"},
        {"series": rules, "values": failures},
        {"series": undelivered, "values": failures},
        # What goes well beside them is counted, and is no failure.
        {"series": rules.replace("modelway", "other"), "values": "3x70"},
        {"series": 'alertmanager_notifications_total{job="alertmanager",integration="slack"}', "values": "0+1x70"},
    ]
    firing = 'count by (alertname) (ALERTS{alertstate="firing"})'
    expected = {"9m": set(), "10m30s": {*NAMES} - {"ModelwayConfigRefused"}, "15m": {*NAMES}, "34m": set()}
    tests = [
        {
            "expr": firing,
            "eval_time": moment,
            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)],
        }
        for moment, names in expected.items()
    ]
    judge(tmp_path, self_watch_groups(), series, "30s", tests)


def test_a_prometheus_that_does_not_reach_alertmanager_is_a_page(tmp_path: Path) -> None:
    errors = 'prometheus_notifications_errors_total{job="prometheus",alertmanager="a"}'
    alert = '{__name__="ALERTS",alertname="ModelwayAlertsUndelivered",alertstate="firing",severity="page"}'
    tests = [
        {"expr": "ALERTS", "eval_time": "4m", "exp_samples": []},
        {"expr": "ALERTS", "eval_time": "6m", "exp_samples": [{"labels": alert, "value": 1}]},
    ]
    judge(tmp_path, self_watch_groups(), [{"series": errors, "values": values((10, 0), (10, 2))}], "30s", tests)
