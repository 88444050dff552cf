"""What an experiment is to decide and by which rules, and what is wrong with it. Nothing here needs Pulumi.

`plan_document` is the document that the judge reads; the meaning of each field is told in full by its `plan.py`.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil, exp, lgamma, log
from typing import Any

from modelway.serving.runtime_checks import Misfit

MODES = ("observe", "guard", "automatic")
STEPS = (1, 10, 50, 100)
MAXIMUM_STEPS = 20
KINDS = {
    "errors": "requests that are answered with 5xx, or by no pod",
    "latency": "requests that take longer than threshold_seconds",
    "accuracy": "predictions that feedback says were wrong",
    "outcome": "feedback whose outcome is 0",
}
"""What each kind of metric counts."""
DRIFT_WINDOWS = ("1h", "1d")
_NEED = {"threshold_seconds": "latency", "name": "outcome"}
"""Fields that belong to one kind of metric."""


@dataclass(frozen=True)
class Metric:
    """One thing in which the candidate must not be worse."""

    kind: str
    margin: float = 0.01
    """How much larger the candidate's share of bad trials may be for a promotion, absolute."""
    threshold_seconds: float | None = None
    """Of `latency`."""
    name: str | None = None
    """Of `outcome`."""

    @property
    def label(self) -> str:
        """Its name in reports, metrics and the state."""
        return f"{self.kind}:{self.name}" if self.name else self.kind


@dataclass(frozen=True)
class Plan:
    """One experiment."""

    champion: str
    candidate: str
    metrics: tuple[Metric, ...]
    mode: str = "observe"
    steps: tuple[int, ...] = STEPS
    """Weights of the candidate in percent."""
    alpha: float = 0.01
    """Probability that an equal candidate is ever rolled back."""
    shift_ratio: float = 3.0
    slow_seconds: float = 0.1
    minimum_trials: int = 500
    """Of each metric and version in a step."""
    step_seconds: float = 60.0
    maximum_seconds: float = 86_400.0
    warmup_seconds: float = 30.0
    expected_requests_per_second: float | None = None
    sticky: bool = False
    drift_psi: float | None = None
    """Largest PSI of the candidate's predictions with which it goes on."""
    drift_window: str | None = None

    @property
    def slow_threshold_seconds(self) -> float:
        """What the servers take for slow: the threshold of the latency metric, else of its guardrail."""
        own = (metric.threshold_seconds for metric in self.metrics if metric.threshold_seconds is not None)
        return next(own, self.slow_seconds)

    @property
    def least_seconds(self) -> float:
        """Shortest time to a promotion at the expected rate: each step has its sample, the last one what the narrowest
        margin needs. 0 where no rate is expected."""
        if self.expected_requests_per_second is None:
            return 0.0
        needed = [self.minimum_trials] * (len(self.steps) - 1)
        needed[-1] = max(needed[-1], least_trials(min(metric.margin for metric in self.metrics), self.alpha))
        return sum(
            max(self.step_seconds, trials * 100 / (self.expected_requests_per_second * min(weight, 100 - weight)))
            for weight, trials in zip(self.steps, needed, strict=False)
        )


@dataclass(frozen=True)
class Served:
    """What the model has that an experiment needs to know."""

    runtimes: Mapping[str, str]
    """Runtime of each version of the split, by name; shadows are left out."""
    shadows: Sequence[str]
    weights: Mapping[str, int]
    feedback: bool
    outcomes: Sequence[str]


def plan_of(rules: Mapping[str, object], *, champion: str = "", sticky: bool = False) -> Plan:
    """The rules with their defaults; `champion` counts where the rules name none. Numbers arrive as floats."""
    given: dict[str, Any] = {name: value for name, value in rules.items() if value is not None}
    metrics = tuple(Metric(**metric) for metric in given.pop("metrics"))
    steps = tuple(int(weight) for weight in given.pop("steps", STEPS))
    trials = int(given.pop("minimum_trials", Plan.minimum_trials))
    fields: dict[str, Any] = {"champion": champion, **given}
    return Plan(**fields, metrics=metrics, steps=steps, minimum_trials=trials, sticky=sticky)


def model_plan(rules: Mapping[str, object], weights: Mapping[str, int], *, sticky: bool) -> Plan:
    """The rules of a model whose split has these weights; the champion is, unless it is named, who has 100."""
    champion = next((name for name, weight in weights.items() if weight == 100), "")
    return plan_of(rules, champion=champion, sticky=sticky)


def plan_document(model: str, plan: Plan, experiment: str) -> dict[str, Any]:
    """`plan.json` as the judge reads it; `experiment` is its id."""
    fields = {name: value for name, value in asdict(plan).items() if value is not None}
    metrics = [{key: value for key, value in metric.items() if value is not None} for metric in fields["metrics"]]
    return {"model": model, "experiment": experiment, **fields, "metrics": metrics, "steps": list(plan.steps)}


def experiment_id(model: str, plan: Plan, images: Sequence[str], servers: Sequence[str]) -> str:
    """Changes with every rule, and with the image or the server of either version, so that the judge starts anew."""
    facts = [plan_document(model, plan, ""), list(images), list(servers)]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def least_trials(margin: float, alpha: float) -> int:
    """Fewest trials without any event after which a rate is below `margin` with certainty 1 − alpha / 2.

    The judge's bound, which has a closed form where nothing happened: 1 − (B · α/2)^(1/n), B the ratio of Beta
    functions of Jeffreys' prior and its posterior.
    """

    def upper(trials: int) -> float:
        mixture = lgamma(0.5 + trials) - lgamma(1.0 + trials) - lgamma(0.5)
        return min(1.0, 1 - exp((mixture + log(alpha / 2)) / trials))

    low, high = 0, 1
    while upper(high) > margin:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if upper(middle) <= margin else (middle, high)
    return high


def plan_misfits(plan: Plan, served: Served) -> list[Misfit]:
    """Everything wrong with an experiment on this model; fields are those of the experiment."""
    known = [*_versions(plan, served), *_sources(plan, served)]
    return [*known, *rule_misfits(plan)]


def rule_misfits(plan: Plan) -> list[Misfit]:
    """Everything wrong with the rules themselves, whatever the model."""
    problems = [*_pair(plan), *_metrics(plan), *_numbers(plan)]
    return problems or [*_horizon(plan)]


def _pair(plan: Plan) -> Iterator[Misfit]:
    if plan.champion == plan.candidate:
        fix = "name another candidate"
        yield Misfit("candidate", "is the champion itself", repr(plan.candidate), "another version", fix)


def _versions(plan: Plan, served: Served) -> Iterator[Misfit]:
    names = list(served.runtimes)
    for role in ("champion", "candidate"):
        name = getattr(plan, role)
        if not name:
            continue  # Nobody is named and nobody has 100: the weights are what is wrong.
        if name in served.shadows:
            fix = f"name another {role}, or remove its shadow"
            yield Misfit(role, "is a shadow, which has no share to compare", repr(name), ", ".join(names), fix)
        elif name not in names:
            yield Misfit(role, "names no version", repr(name), ", ".join(names), "name one of these")
        elif served.runtimes[name] != "modelway":
            got, fix = f"{name} with runtime {served.runtimes[name]}", "remove the experiment"
            yield Misfit(role, "its server does not count what is compared", got, "runtime modelway", fix)
    if plan.champion in ("", *names) and not _starts_at(plan.champion, served.weights):
        got = ", ".join(f"{name} {weight}" for name, weight in served.weights.items())
        champion = plan.champion or "the champion"
        allowed = f"{champion} 100 and 0 for every other, from where the judge moves them"
        fix = f"give {champion} the weight 100, or remove the experiment"
        yield Misfit("champion", "weights are set under an experiment", got, allowed, fix)


def _starts_at(champion: str, weights: Mapping[str, int]) -> bool:
    return all(weight == (100 if name == champion else 0) for name, weight in weights.items())


def _sources(plan: Plan, served: Served) -> Iterator[Misfit]:
    """Metrics that this model cannot give."""
    for number, metric in enumerate(plan.metrics):
        field = f"metrics.{number}"
        if metric.kind in ("accuracy", "outcome") and not served.feedback:
            got, fix = f"{metric.kind} without feedback", "set feedback of the model, or remove the metric"
            yield Misfit(field, "nobody tells what became of predictions", got, "a model with feedback", fix)
        elif metric.kind == "outcome" and metric.name is not None and metric.name not in served.outcomes:
            allowed = ", ".join(served.outcomes) or "none, since feedback_outcomes is empty"
            fix = "add it to feedback_outcomes"
            yield Misfit(f"{field}.name", "names no outcome", repr(metric.name), allowed, fix)


def _metrics(plan: Plan) -> Iterator[Misfit]:
    if not plan.metrics:
        fix = "add {kind: errors}"
        yield Misfit("metrics", "nothing to decide by", "none", "1 to 10 metrics", fix)
    if len(plan.metrics) > 10:
        yield Misfit("metrics", "too many", str(len(plan.metrics)), "1 to 10 metrics", "remove some")
    labels = [metric.label for metric in plan.metrics]
    for label in sorted({label for label in labels if labels.count(label) > 1}):
        yield Misfit("metrics", "named twice", label, "each metric once", "remove one")
    for number, metric in enumerate(plan.metrics):
        yield from _metric(f"metrics.{number}", metric)


def _metric(field: str, metric: Metric) -> Iterator[Misfit]:
    if metric.kind not in KINDS:
        yield Misfit(f"{field}.kind", "unknown value", repr(metric.kind), ", ".join(KINDS), "correct it")
        return
    for name, kind in _NEED.items():
        value = getattr(metric, name)
        if kind == metric.kind and value is None:
            yield Misfit(f"{field}.{name}", f"missing for {kind}", "nothing", "a value", f"set {name}")
        if kind != metric.kind and value is not None:
            fix = f"remove {name}"
            yield Misfit(f"{field}.{name}", f"does not fit {metric.kind}", str(value), f"only with {kind}", fix)
    if not 0 < metric.margin < 1:
        yield Misfit(f"{field}.margin", "no share", f"{metric.margin:g}", "more than 0 and less than 1", "change it")
    if metric.threshold_seconds is not None and metric.threshold_seconds <= 0:
        got = f"{metric.threshold_seconds:g}"
        yield Misfit(f"{field}.threshold_seconds", "out of range", got, "more than 0", "raise it")


def _numbers(plan: Plan) -> Iterator[Misfit]:
    if plan.mode not in MODES:
        yield Misfit("mode", "unknown value", repr(plan.mode), ", ".join(MODES), "correct it")
    steps = plan.steps
    ascending = list(steps) == sorted(set(steps)) and all(1 <= weight <= 100 for weight in steps)
    if not (2 <= len(steps) <= MAXIMUM_STEPS and ascending and steps[-1] == 100):
        allowed = f"2 to {MAXIMUM_STEPS} whole numbers that ascend and end with 100"
        yield Misfit("steps", "no way up", ", ".join(map(str, steps)) or "none", allowed, "correct them")
    bounds = {
        "alpha": (0 < plan.alpha <= 0.2, "more than 0 and at most 0.2"),
        "shift_ratio": (plan.shift_ratio > 1, "more than 1"),
        "slow_seconds": (plan.slow_seconds > 0, "more than 0"),
        "minimum_trials": (plan.minimum_trials >= 1, "1 or more"),
        "step_seconds": (plan.step_seconds >= 0, "0 or more"),
        "maximum_seconds": (plan.maximum_seconds > 0, "more than 0"),
        "warmup_seconds": (plan.warmup_seconds >= 0, "0 or more"),
        "drift_psi": ((plan.drift_psi or 1) > 0 and plan.drift_psi != 0, "more than 0"),
        "expected_requests_per_second": ((plan.expected_requests_per_second or 1) > 0, "more than 0"),
    }
    for name, (fits, allowed) in bounds.items():
        if not fits:
            yield Misfit(name, "out of range", f"{getattr(plan, name):g}", allowed, "change it")
    if (plan.drift_psi is None) != (plan.drift_window is None) or plan.drift_window not in (None, *DRIFT_WINDOWS):
        got, allowed = repr(plan.drift_window), f"{' or '.join(DRIFT_WINDOWS)}, with drift_psi and only then"
        yield Misfit("drift_window", "does not fit", got, allowed, "correct it")


def _horizon(plan: Plan) -> Iterator[Misfit]:
    """No decision in time: each step has its shortest time, and each version its smallest sample."""
    got, fix = f"{plan.maximum_seconds:g}", "raise maximum_seconds"
    if plan.maximum_seconds < (steps := plan.step_seconds * len(plan.steps)):
        allowed = f"{steps:g} or more, {len(plan.steps)} steps of {plan.step_seconds:g} s"
        yield Misfit("maximum_seconds", "shorter than its steps", got, allowed, fix)
    elif plan.maximum_seconds < (least := plan.least_seconds):
        allowed = f"{ceil(least)} or more at {plan.expected_requests_per_second:g} requests per second"
        yield Misfit("maximum_seconds", "shorter than the minimum sample needs", got, allowed, fix)
