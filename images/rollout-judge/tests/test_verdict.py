"""Decisions from evidence."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from rollout_judge.allocation import Allocation
from rollout_judge.comparison import Comparison, Look
from rollout_judge.plan import Kind, Metric, Mode, Plan
from rollout_judge.verdict import Arm, Decision, Evidence, MetricEvidence, class_share, decide

ERRORS = Metric(kind=Kind.ERRORS)
LATENCY = Metric(kind=Kind.LATENCY, threshold_seconds=0.1, margin=0.05)


def plan(**changes: Any) -> Plan:
    fields = {"model": "m", "champion": "v1", "candidate": "v2", "experiment": "e", "metrics": (ERRORS, LATENCY)}
    return Plan(**{**fields, "mode": Mode.AUTOMATIC, **changes})


def metric(looks: Sequence[Look]) -> MetricEvidence:
    comparison, champion, candidate = Comparison(), Arm(), Arm()
    for look in looks:
        comparison.add(look)
        champion.trials += look.champion_trials
        champion.events += look.champion_events
        candidate.trials += look.candidate_trials
        candidate.events += look.candidate_events
    return MetricEvidence(comparison, champion, candidate, min(champion.trials, candidate.trials))


def evidence(**changes: Any) -> Evidence:
    good = metric([Look(9000, 9, 1000, 1), Look(5000, 4, 5000, 3)])
    fields = {
        "allocation": Allocation(),
        "metrics": {"errors": good, "latency": good},
        "classes": {"malignant": Comparison().add(Look(9000, 3400, 1000, 370))},
        "step": 2,
        "seconds": 1000.0,
        "step_seconds": 100.0,
    }
    return Evidence(**{**fields, **changes})


def mismatch() -> Allocation:
    allocation = Allocation()
    allocation.add({"v1": 90, "v2": 10}, {"v1": 8000, "v2": 2000})
    return allocation


def test_a_good_candidate_is_promoted() -> None:
    assert decide(plan(), evidence()).decision is Decision.PROMOTE


def test_a_candidate_without_pods_is_rolled_back_after_a_minute() -> None:
    gone = {"missing": "v2 has no pod in Prometheus"}
    held = decide(plan(), evidence(**gone, absent_seconds=59.9))
    assert (held.decision, held.reason) == (Decision.HOLD, "v2 has no pod in Prometheus")
    found = decide(plan(), evidence(**gone, absent_seconds=60.0))
    assert (found.decision, found.reason) == (Decision.ROLL_BACK, "v2 has had no pod that is up for 60 s")


def test_all_classes_together_never_use_more_than_the_guardrails_alpha() -> None:
    assert [round(1 / class_share(place)) for place in range(4)] == [2, 6, 12, 20]
    assert sum(class_share(place) for place in range(20)) == pytest.approx(20 / 21)


@pytest.mark.parametrize("step", [0, 2])
def test_a_candidate_whose_predictions_drift_is_held_and_never_rolled_back_for_that(step: int) -> None:
    gated = plan(drift_psi=0.2, drift_window="1h")
    reasons = {
        None: "PSI of the predictions of v2 over 1h is not known, it takes 500 rows",
        0.201: "the predictions of v2 have drifted: PSI over 1h above 0.2",
    }
    for drift, reason in reasons.items():
        found = decide(gated, evidence(step=step, drift=drift))
        assert (found.decision, found.reason) == (Decision.HOLD, reason)
    assert decide(gated, evidence(step=step, drift=0.2)) == decide(plan(), evidence(step=step))
    assert decide(plan(), evidence(drift=9.0)).decision is Decision.PROMOTE


def test_a_good_candidate_advances_before_the_last_step() -> None:
    found = decide(plan(), evidence(step=0))
    assert (found.decision, found.reason) == (Decision.ADVANCE, "no harm is seen at 1 %")


def test_a_candidate_with_more_errors_is_rolled_back_whatever_else_is_known() -> None:
    worse = metric([Look(9000, 9, 1000, 100)])
    for more in ({}, {"missing": "Prometheus does not answer"}, {"allocation": mismatch()}, {"step_seconds": 0.0}):
        found = decide(plan(), evidence(metrics={"errors": worse, "latency": worse}, **more))
        assert found.decision is Decision.ROLL_BACK
        assert found.reason.startswith("errors is worse: 100 of 1000 after 9 of 9000, evidence ")


@pytest.mark.parametrize("seen", [0, 400], ids=["never", "always"])
def test_a_candidate_with_constant_output_is_rolled_back(seen: int) -> None:
    shifted = {"malignant": Comparison().add(Look(3600, 1350, 400, seen)), "benign": Comparison()}
    found = decide(plan(), evidence(classes=shifted))
    assert found.decision is Decision.ROLL_BACK
    assert found.reason.startswith("predictions have shifted: the odds of malignant are ")


def test_a_small_shift_of_predictions_is_none() -> None:
    small = {"malignant": Comparison().add(Look(36_000, 13_500, 4000, 2000))}
    assert decide(plan(), evidence(classes=small)).decision is Decision.PROMOTE


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"missing": "v2 has 1 of 2 pods in Prometheus"}, "v2 has 1 of 2 pods in Prometheus"),
        ({"step_seconds": 20.0}, "this step lasts 40 s more"),
        ({"allocation": mismatch()}, "traffic is not divided as weighted, so nothing can be compared"),
    ],
)
def test_without_what_a_decision_needs_the_candidate_is_held(changes: dict[str, Any], reason: str) -> None:
    found = decide(plan(), evidence(**changes))
    assert (found.decision, found.reason) == (Decision.HOLD, reason)


def test_too_few_trials_hold() -> None:
    few = metric([Look(900, 1, 100, 0)])
    found = decide(plan(), evidence(metrics={"errors": few, "latency": few}, step=0))
    assert (found.decision, found.reason) == (Decision.HOLD, "errors has 100 trials of 500 in this step")


def test_a_candidate_that_may_still_be_worse_by_the_margin_is_not_promoted() -> None:
    unsure = metric([Look(600, 2, 600, 5)])
    found = decide(plan(), evidence(metrics={"errors": unsure, "latency": unsure}))
    assert found.decision is Decision.HOLD
    assert found.reason.endswith("% worse, allowed 1.00%")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"missing": "Prometheus does not answer"}, "Prometheus does not answer"),
        ({"allocation": mismatch()}, "traffic was not divided as weighted"),
        ({}, "no decision was reached"),
    ],
)
def test_whatever_is_undecided_in_the_end_is_rolled_back(changes: dict[str, Any], why: str) -> None:
    found = decide(plan(), evidence(seconds=86_400.0, **changes))
    assert (found.decision, found.reason) == (Decision.ROLL_BACK, f"the time of 86400 s is over and {why}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": (10, 5, 100)}, "steps should ascend and end with 100"),
        ({"steps": (10, 50)}, "steps should ascend and end with 100"),
        ({"candidate": "v1"}, "champion and candidate should be two versions"),
        ({"metrics": ()}, "at least 1 item"),
        ({"metrics": (ERRORS, ERRORS)}, "a metric occurs twice"),
        ({"maximum_seconds": 100.0}, "maximum_seconds should be enough for all steps"),
    ],
)
def test_impossible_plans_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        plan(**changes)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "latency"},
        {"kind": "errors", "threshold_seconds": 1},
        {"kind": "outcome"},
        {"kind": "errors", "name": "a"},
    ],
)
def test_a_metric_has_exactly_what_its_kind_needs(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="belongs to"):
        Metric(**fields)


def outcome(draw: np.random.Generator, rates: tuple[float, float], looks: int) -> Decision:
    """What becomes of a candidate at the step of 50 %, with a look every 100 requests."""
    known = {label: metric([]) for label in ("errors", "latency")}
    classes, allocation = {"malignant": Comparison()}, Allocation()
    for number in range(1, looks + 1):
        new = int(draw.binomial(100, 0.5))
        allocation.add({"v1": 50, "v2": 50}, {"v1": 100 - new, "v2": new})
        for label, base in (("errors", rates), ("latency", (0.01, 0.01))):
            look = Look(100 - new, int(draw.binomial(100 - new, base[0])), new, int(draw.binomial(new, base[1])))
            one = known[label]
            one.comparison.add(look)
            one.champion.trials += look.champion_trials
            one.champion.events += look.champion_events
            one.candidate.trials += look.candidate_trials
            one.candidate.events += look.candidate_events
            one.step_trials = min(one.champion.trials, one.candidate.trials)
        classes["malignant"].add(
            Look(100 - new, int(draw.binomial(100 - new, 0.37)), new, int(draw.binomial(new, 0.37)))
        )
        found = decide(
            plan(alpha=0.05),
            Evidence(allocation, known, classes, step=2, seconds=float(number), step_seconds=61.0),
        ).decision
        if found is not Decision.HOLD:
            return found
    return Decision.HOLD


@pytest.mark.parametrize(
    ("rates", "expected"),
    [((0.002, 0.002), Decision.PROMOTE), ((0.002, 0.05), Decision.ROLL_BACK)],
    ids=["equal", "worse"],
)
def test_simulated_candidates_get_the_verdict_that_they_deserve(rates: tuple[float, float], expected: Decision) -> None:
    draw = np.random.default_rng(21)
    found = [outcome(draw, rates, 200) for _ in range(20)]
    assert found == [expected] * 20
