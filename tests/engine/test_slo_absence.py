"""When a version without pods is an outage, and when Prometheus has just not seen any yet; judged by promtool."""

from pathlib import Path

import pytest
from modelway.monitoring.slo import Slo, slo_groups

from tests.engine.alert_judging import judge

PAGE = {"ModelAvailabilityPage"}
PODS = 'up{job="model-servers",model="iris",version="v1",pod="a"}'
GATEWAY = {"series": 'up{job="gateway",pod="p"}', "values": "1x200"}
CASES: dict[str, tuple[str, dict[int, set[str]]]] = {
    # Steps of 10 seconds; `_` is a moment without a sample.
    "Prometheus begins anew": ("_ 1x199", {10: set(), 60: set(), 600: set(), 900: set()}),
    "the first pod of a new stack starts late": ("_x30 1x170", {60: set(), 300: set(), 600: set(), 900: set()}),
    "Prometheus begins anew while there is no pod": ("_x200", {590: set(), 620: PAGE}),
    "all pods vanish": ("1x59 stale _x140", {590: set(), 630: PAGE, 1200: PAGE}),
    "all pods vanish soon after Prometheus began": ("1x5 stale _x190", {50: set(), 90: PAGE}),
}


@pytest.mark.parametrize(("pods", "firing"), CASES.values(), ids=CASES)
def test_a_version_is_absent_once_it_was_seen_or_was_awaited_long_enough(
    pods: str, firing: dict[int, set[str]], tmp_path: Path
) -> None:
    tests = [
        {
            "expr": 'count by (alertname) (ALERTS{alertstate="firing",severity="page"})',
            "eval_time": f"{seconds}s",
            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)],
        }
        for seconds, names in firing.items()
    ]
    judge(
        tmp_path,
        slo_groups([Slo("iris", "v1", "m", split_position=0)]),
        [{"series": PODS, "values": pods}, GATEWAY],
        "10s",
        tests,
    )
