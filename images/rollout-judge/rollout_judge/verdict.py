"""From evidence to a decision. Pure: the same evidence at the same time gives the same verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import log

from rollout_judge.allocation import Allocation
from rollout_judge.comparison import Comparison
from rollout_judge.plan import Plan
from rollout_judge.rate import rate_bounds

ABSENT_SECONDS = 60.0
"""A pod that hangs is out and back within half of it, and so is one that moves to another node."""


class Decision(StrEnum):
    """What is to be done with the candidate."""

    HOLD = "hold"
    ADVANCE = "advance"
    """The next step's weight."""
    PROMOTE = "promote"
    ROLL_BACK = "roll back"


@dataclass(frozen=True)
class Verdict:
    """A decision and its reason, one sentence."""

    decision: Decision
    reason: str


@dataclass
class Arm:
    """Totals of one metric in one version."""

    trials: int = 0
    events: int = 0


@dataclass
class MetricEvidence:
    """All that is known of one metric."""

    comparison: Comparison
    champion: Arm
    candidate: Arm
    step_trials: int = 0
    """Of the version that had fewer, in this step."""

    def excess(self, alpha: float) -> tuple[float, float]:
        """Bounds of the candidate's share less the champion's, that hold at all looks together."""
        low, high = rate_bounds(self.candidate.events, self.candidate.trials, alpha / 2)
        before_low, before_high = rate_bounds(self.champion.events, self.champion.trials, alpha / 2)
        return low - before_high, high - before_low


@dataclass
class Evidence:
    """All that the judge knows when it decides."""

    allocation: Allocation
    metrics: Mapping[str, MetricEvidence]
    """By label: every one of `plan.tests`."""
    classes: Mapping[str, Comparison]
    """How often each class, or bin of values, was predicted."""
    step: int
    """Position in the plan's steps."""
    seconds: float
    """Since the experiment began."""
    step_seconds: float
    """Since the step began."""
    missing: str | None = None
    """Why the last look could not be taken; None: it was."""
    drift: float | None = None
    """PSI of the candidate's predictions; None: there is no value."""
    absent_seconds: float = 0.0
    """For how long no pod of the exposed candidate was up while all of the champion were: the gateway answers the
    candidate's share with 503, and no pod counts those."""


def decide(plan: Plan, evidence: Evidence) -> Verdict:
    """The verdict at this look.

    α is divided by Bonferroni's rule over all that can roll back: the sample ratio, the shift of predictions, each
    metric, and the guardrails of errors and latency where they are none. For a promotion every metric has to stay
    within its margin, so each may use the whole α (an intersection-union test; Berger, Technometrics 24, 1982).
    """
    share = plan.test_alpha
    for found in (_harm(plan, evidence, share), _shift(plan, evidence, share)):
        if found is not None:
            return Verdict(Decision.ROLL_BACK, found)
    if evidence.absent_seconds >= ABSENT_SECONDS:
        gone = f"{plan.candidate} has had no pod that is up for {evidence.absent_seconds:.0f} s"
        return Verdict(Decision.ROLL_BACK, gone)
    mismatch = evidence.allocation.log_evidence() >= -log(share)
    if evidence.seconds >= plan.maximum_seconds:
        why = "traffic was not divided as weighted" if mismatch else evidence.missing or "no decision was reached"
        return Verdict(Decision.ROLL_BACK, f"the time of {plan.maximum_seconds:g} s is over and {why}")
    if mismatch:
        return Verdict(Decision.HOLD, "traffic is not divided as weighted, so nothing can be compared")
    if evidence.missing is not None:
        return Verdict(Decision.HOLD, evidence.missing)
    return _progress(plan, evidence)


def _harm(plan: Plan, evidence: Evidence, share: float) -> str | None:
    for label in plan.tests:
        known = evidence.metrics[label]
        found = known.comparison.evidence_of_more()
        if found >= 1 / share:
            return (
                f"{label} is worse: {_rate(known.candidate)} after {_rate(known.champion)}, "
                f"evidence {found:.3g}, enough from {1 / share:.3g}"
            )
    return None


def _shift(plan: Plan, evidence: Evidence, share: float) -> str | None:
    for place, (name, comparison) in enumerate(evidence.classes.items()):
        low, high = comparison.odds_ratio(share * class_share(place))
        if low > plan.shift_ratio or high < 1 / plan.shift_ratio:
            times = f"more than {low:.3g} times" if low > 1 else f"less than {high:.3g} times"
            return f"predictions have shifted: the odds of {name} are {times} the champion's"
    return None


def class_share(place: int) -> float:
    """Part of the guardrail's α for the class that was seen as the `place`-th, from 0.

    How many there will be is not known when the first look is taken, so the parts are 1/2, 1/6, 1/12, …: however many
    come, together they are less than 1.
    """
    return 1 / ((place + 1) * (place + 2))


def _progress(plan: Plan, evidence: Evidence) -> Verdict:
    if evidence.step_seconds < plan.step_seconds:
        left = plan.step_seconds - evidence.step_seconds
        return Verdict(Decision.HOLD, f"this step lasts {left:.0f} s more")
    for metric in plan.metrics:
        if (had := evidence.metrics[metric.label].step_trials) < plan.minimum_trials:
            return Verdict(Decision.HOLD, f"{metric.label} has {had} trials of {plan.minimum_trials} in this step")
    if (closed := drift_gate(plan, evidence.drift)) is not None:
        return Verdict(Decision.HOLD, closed)
    if evidence.step + 2 < len(plan.steps):
        return Verdict(Decision.ADVANCE, f"no harm is seen at {plan.steps[evidence.step]} %")
    for metric in plan.metrics:
        worst = evidence.metrics[metric.label].excess(plan.alpha)[1]
        if worst > metric.margin:
            return Verdict(Decision.HOLD, f"{metric.label} may still be {worst:.2%} worse, allowed {metric.margin:.2%}")
    return Verdict(Decision.PROMOTE, "every metric is within its margin")


def drift_gate(plan: Plan, drift: float | None) -> str | None:
    """Why a candidate with this PSI of its predictions does not go on, in words that stay; None where it does."""
    if plan.drift_psi is None:
        return None
    if drift is None:
        return f"PSI of the predictions of {plan.candidate} over {plan.drift_window} is not known, it takes 500 rows"
    if drift > plan.drift_psi:
        return (
            f"the predictions of {plan.candidate} have drifted: PSI over {plan.drift_window} above {plan.drift_psi:g}"
        )
    return None


def _rate(arm: Arm) -> str:
    return f"{arm.events} of {arm.trials}"
