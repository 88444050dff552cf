"""Alerts of objectives, judged by promtool: when they fire, when not, and when they end."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from modelway.monitoring.slo import Latency, Slo, slo_groups

from tools.progress import Progress
from tools.toolchain import ensure

STEP_SECONDS = 10
HOUR = 3600
CLUSTER = 'envoy_cluster_name="httproute/m/iris-split/rule/0/backend/1"'
OTHERS = 'envoy_cluster_name="httproute/m/iris-split/rule/0/backend/0"'
SLO = Slo("iris", "v2", "m", split_position=1, latency=Latency(99, 0.1))


@dataclass
class Phase:
    """What happens for a while, per second."""

    seconds: int
    good: float = 100
    bad: float = 0
    slow: float = 0
    pods: int = 1


@dataclass
class Case:
    """Phases one after the other, and which alerts fire how many seconds after the first phase."""

    phases: list[Phase]
    firing: dict[int, set[str]]


HISTORY = Phase(6 * HOUR)
STEADY = Phase(HOUR)
CASES = {
    # 14.4 times the budget of 0.1 % are 1.44 % of an hour: 52 seconds of everything, 8.6 minutes of a tenth.
    "a total outage": Case([HISTORY, Phase(120, good=0, bad=100)], {50: set(), 70: {"ModelAvailabilityPage"}}),
    "a tenth fails": Case([HISTORY, Phase(600, good=90, bad=10)], {510: set(), 530: {"ModelAvailabilityPage"}}),
    "a twentieth fails": Case([HISTORY, Phase(1200, good=95, bad=5)], {1030: set(), 1050: {"ModelAvailabilityPage"}}),
    "an outage that ends": Case(
        [STEADY, Phase(240, good=0, bad=100), Phase(HOUR)],
        {0: set(), 70: {"ModelAvailabilityPage"}, 240: {"ModelAvailabilityPage"}, HOUR: set()},
    ),
    "no pod and no request": Case(
        [STEADY, Phase(240, good=0, pods=0), Phase(HOUR)],
        {0: set(), 70: {"ModelAvailabilityPage"}, HOUR: set()},
    ),
    "an outage with five minutes of history": Case(
        [Phase(300), Phase(120, good=0, bad=100)], {0: set(), 20: {"ModelAvailabilityPage"}}
    ),
    "one failure of a few requests": Case([Phase(HOUR, good=0.02), Phase(60, good=0, bad=0.04)], {60: set()}),
    "answers that are slow and not failed": Case(
        [STEADY, Phase(1200, slow=50), Phase(HOUR)], {0: set(), 1100: {"ModelLatencyPage"}, 1200 + HOUR: set()}
    ),
}


def series(phases: list[Phase]) -> list[dict[str, str]]:
    def counter(name: str, *rates: float) -> dict[str, str]:
        total, values = 0.0, ["0"]
        for phase, rate in zip(phases, rates, strict=True):
            steps = phase.seconds // STEP_SECONDS
            values.append(f"{total + rate * STEP_SECONDS}+{rate * STEP_SECONDS}x{steps - 1}")
            total += rate * phase.seconds
        return {"series": name, "values": " ".join(values)}

    pods = " ".join(f"{phase.pods}x{phase.seconds // STEP_SECONDS - 1}" for phase in phases)
    answers = [phase.good + phase.bad for phase in phases]
    return [
        counter(f'envoy_cluster_upstream_rq{{{CLUSTER},envoy_response_code="200"}}', *(each.good for each in phases)),
        counter(f'envoy_cluster_upstream_rq{{{CLUSTER},envoy_response_code="503"}}', *(each.bad for each in phases)),
        counter(f'envoy_cluster_upstream_rq{{{OTHERS},envoy_response_code="200"}}', *(1000 for _ in phases)),
        counter(f"envoy_cluster_upstream_rq_time_count{{{CLUSTER}}}", *answers),
        counter(
            f'envoy_cluster_upstream_rq_time_bucket{{{CLUSTER},le="100"}}',
            *(answer - phase.slow for answer, phase in zip(answers, phases, strict=True)),
        ),
        {"series": 'up{job="model-servers",model="iris",version="v2",pod="a"}', "values": f"1 {pods}"},
    ]


def judge(folder: Path, case: Case, slo: Slo = SLO) -> None:
    """Run promtool over the rules of `slo`."""
    groups = slo_groups([slo])
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": groups}))
    begin = case.phases[0].seconds
    tests = [
        {
            "expr": 'count by (alertname) (ALERTS{alertstate="firing",severity="page"})',
            "eval_time": f"{begin + seconds}s",
            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)],
        }
        for seconds, names in case.firing.items()
    ]
    document = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": f"{STEP_SECONDS}s",
        "group_eval_order": [group["name"] for group in groups],
        "tests": [{"interval": f"{STEP_SECONDS}s", "input_series": series(case.phases), "promql_expr_test": tests}],
    }
    (folder / "tests.yml").write_text(yaml.safe_dump(document))
    promtool = ensure(["promtool"], Progress())["promtool"].path
    for command in (["check", "rules", "rules.yml"], ["test", "rules", "tests.yml"]):
        result = subprocess.run([promtool, *command], cwd=folder, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_alert_fires_and_ends_when_it_should(case: Case, tmp_path: Path) -> None:
    judge(tmp_path, case)
