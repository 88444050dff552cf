"""Alerts of objectives, judged by promtool: when they fire, when not, and when they end."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from modelway.monitoring.slo import FAST, SLOW, Latency, Slo, slo_groups

from tests.engine.alert_judging import Proven, judge

HOUR, DAY = 3600, 86_400
SHORTEST_SECONDS = 10
PAGES_READ = (FAST, SLOW)
"""Intervals of the groups that pages read; promtool evaluates each group at every step, and the longest windows take
the most of its time."""
CLUSTER = 'envoy_cluster_name="httproute/m/iris-split/rule/0/backend/1"'
OTHERS = 'envoy_cluster_name="httproute/m/iris-split/rule/0/backend/0"'
SLO = Slo("iris", "v2", "m", split_position=1, latency=Latency(99, 0.1))
AVAILABILITY, LATENCY = "ModelAvailabilityPage", "ModelLatencyPage"
TICKETS = {"ModelAvailabilityTicket", "ModelLatencyTicket"}


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
    """Phases one after the other, and which alerts fire how many seconds after the first ones, `before`."""

    before: list[Phase]
    phases: list[Phase]
    firing: dict[int, set[str]]
    severity: str = "page"
    step_seconds: int = SHORTEST_SECONDS
    """Longer steps take promtool less time; where alerts fire a little later or earlier they are as short as can be."""
    near: frozenset[str] = frozenset()
    """Alerts that do not fire though they nearly do."""


STEADY = [Phase(HOUR)]
# The requests of six hours, five of them in ten minutes: what the longest window of pages sees of those is their sum.
HISTORY = [Phase(600, good=100 * 5 * HOUR / 600), *STEADY]
CASES = {
    # 14.4 times the budget of 0.1 % are 1.44 % of an hour: 52 seconds of everything, 8.6 minutes of a tenth.
    "a total outage": Case(HISTORY, [Phase(120, good=0, bad=100)], {50: set(), 70: {AVAILABILITY}}),
    "a tenth fails": Case(HISTORY, [Phase(600, good=90, bad=10)], {510: set(), 530: {AVAILABILITY}}),
    "a twentieth fails": Case(HISTORY, [Phase(1200, good=95, bad=5)], {1030: set(), 1050: {AVAILABILITY}}),
    "an outage that ends": Case(
        STEADY,
        [Phase(240, good=0, bad=100), Phase(HOUR)],
        {0: set(), 90: {AVAILABILITY}, 240: {AVAILABILITY}, HOUR: set()},
        step_seconds=30,
    ),
    "no pod and no request": Case(
        STEADY,
        [Phase(240, good=0, pods=0), Phase(HOUR)],
        {0: set(), 90: {AVAILABILITY}, HOUR: set()},
        step_seconds=30,
    ),
    "an outage with five minutes of history": Case(
        [Phase(300)], [Phase(120, good=0, bad=100)], {0: set(), 20: {AVAILABILITY}}
    ),
    "one failure of a few requests": Case(
        [Phase(HOUR, good=0.02)],
        [Phase(60, good=0, bad=0.04)],
        {60: set()},
        step_seconds=60,
        near=frozenset({AVAILABILITY}),
    ),
    "answers that are slow and not failed": Case(
        STEADY, [Phase(1200, slow=50), Phase(HOUR)], {0: set(), 1140: {LATENCY}, 1200 + HOUR: set()}, step_seconds=60
    ),
    # Two fifths in 20 minutes are 13 % of an hour, where 14.4 % page, and 2.4 % of what six hours had, where 6 % do.
    "answers that are slow not quite long enough": Case(
        HISTORY,
        [Phase(1200, slow=40), Phase(300)],
        {1200: set(), 1500: set()},
        step_seconds=60,
        near=frozenset({LATENCY}),
    ),
    # Three times the budget over a day, or once over three days: 18 hours at four times.
    "four times too fast": Case(
        [Phase(3 * DAY)],
        [Phase(DAY, good=99.6, bad=0.4, slow=4), Phase(DAY // 2)],
        {17 * HOUR: set(), 19 * HOUR: TICKETS, 24 * HOUR: TICKETS, 31 * HOUR: set()},
        severity="ticket",
        step_seconds=1800,
    ),
    "not quite too fast": Case(
        [Phase(3 * DAY, good=99.92, bad=0.08, slow=0.8)],
        [Phase(DAY, good=99.92, bad=0.08, slow=0.8)],
        {hours * HOUR: set() for hours in (0, 12, 24)},
        severity="ticket",
        step_seconds=1800,
        near=frozenset(TICKETS),
    ),
}


def proven() -> Proven:
    """What the cases prove."""
    fire, end, near = set[str](), set[str](), set[str]()
    for case in CASES.values():
        last: set[str] = set()
        for firing in case.firing.values():
            fire, end, last = fire | firing, end | (last - firing), firing
        near |= case.near - set().union(*case.firing.values())
    return Proven(frozenset(fire), frozenset(near), frozenset(end))


def series(phases: list[Phase], step_seconds: int) -> list[dict[str, str]]:
    def counter(name: str, *rates: float) -> dict[str, str]:
        total, values = 0.0, ["0"]
        for phase, rate in zip(phases, rates, strict=True):
            steps = phase.seconds // step_seconds
            values.append(f"{total + rate * step_seconds}+{rate * step_seconds}x{steps - 1}")
            total += rate * phase.seconds
        return {"series": name, "values": " ".join(values)}

    pods = " ".join(f"{phase.pods}x{phase.seconds // step_seconds - 1}" for phase in phases)
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


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_alert_fires_and_ends_when_it_should(case: Case, tmp_path: Path) -> None:
    begin = sum(phase.seconds for phase in case.before)
    tests = [
        {
            "expr": f'count by (alertname) (ALERTS{{alertstate="firing",severity="{case.severity}"}})',
            "eval_time": f"{begin + seconds}s",
            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)],
        }
        for seconds, names in case.firing.items()
    ]
    # What alerts read is in the later groups, and after longer steps not found any more the next time.
    groups = [
        group for group in slo_groups([SLO])[::-1] if case.severity == "ticket" or group["interval"] in PAGES_READ
    ]
    judge(tmp_path, groups, series([*case.before, *case.phases], case.step_seconds), f"{case.step_seconds}s", tests)
