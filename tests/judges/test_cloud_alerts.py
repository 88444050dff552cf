"""CloudWatch takes every alarm, and Cloud Monitoring's own types every policy and channel."""

import copy
from typing import Any

from tests.judges.cloud_alerts import alarms, google_objects, refused_by_cloudwatch, refused_by_google
from tests.unit import aws_testing, gcp_testing


def test_cloudwatch_takes_every_alarm() -> None:
    found = alarms(aws_testing.monitoring().resources)
    assert list(found) == ["modelway-cluster-absent-iris-v1"]
    assert refused_by_cloudwatch(found) == {}


def test_broken_alarms_are_refused() -> None:
    (alarm,) = alarms(aws_testing.monitoring().resources).values()
    broken = {"period": {**alarm, "Period": "1m"}, "unknown": {**alarm, "Severity": "page"}}
    found = refused_by_cloudwatch(broken)
    assert sorted(found) == ["alarms/period", "alarms/unknown"]


def test_cloud_monitoring_takes_every_policy_and_channel() -> None:
    found = google_objects(gcp_testing.monitoring().resources)
    assert {group: len(objects) for group, objects in found.items()} == {"policies": 7, "channels": 4}
    assert refused_by_google(found) == {}


def test_broken_policies_are_refused() -> None:
    good = google_objects(gcp_testing.monitoring().resources)["policies"]["watch-unwatched"]

    def planted(key: str, value: Any) -> dict[str, Any]:
        policy = copy.deepcopy(good)
        (condition,) = policy["conditions"]
        condition["conditionPrometheusQueryLanguage"][key] = value
        return policy

    broken = {
        "duration": planted("duration", "5m"),
        "field": planted("promql", "up"),
        "combiner": {**good, "combiner": "ANY"},
        "severity": {**good, "severity": "PAGE"},
    }
    assert sorted(refused_by_google({"policies": broken})) == [f"policies/{name}" for name in sorted(broken)]
