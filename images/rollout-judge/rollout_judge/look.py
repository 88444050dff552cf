"""From what was read to evidence: one look, taken into the state. Pure."""

from collections.abc import Iterable
from math import exp

from rollout_judge import blocks
from rollout_judge import reading as names
from rollout_judge.allocation import Allocation
from rollout_judge.comparison import Comparison, Look
from rollout_judge.counters import Counters, Increments, Pod
from rollout_judge.plan import Kind, Plan
from rollout_judge.reading import Reading, key
from rollout_judge.state import Arm, Block, ClassState, MetricState, PodState, SampleRatioState, State
from rollout_judge.verdict import Arm as Total
from rollout_judge.verdict import Evidence, MetricEvidence, class_share

NEW_SECONDS = 0.5
"""Less is the same scrape again, after a restart or with a late one, through clocks that do not quite agree."""
SETTLE_SECONDS = 10.0
"""Until every proxy has new weights and no request of the old ones is under way."""
MAXIMUM_CLASSES = 20
OTHER = "(other)"
_EXPONENT = 700.0


def new_metrics(plan: Plan) -> dict[str, MetricState]:
    """Nothing known yet of each metric and guardrail."""
    own = {metric.label for metric in plan.metrics}
    return {label: MetricState(guardrail=label not in own, enough=1 / plan.test_alpha) for label in plan.tests}


def take(state: State, plan: Plan, found: Reading, now: float) -> None:
    """Count what came since the look before; one with something missing leaves it to the next one."""
    state.missing, state.drift = found.missing, found.drift
    state.absent_since = (state.absent_since or now) if found.absent else None
    if found.missing is not None or not _is_new(state, found):
        return
    servers, proxies = Counters(_pods(state.counters)), Counters(_pods(state.proxies))
    counted = servers.increments(found.servers, now, plan.warmup_seconds)
    unanswered = _unanswered(proxies.increments(found.proxies, now, 0.0), (plan.champion, plan.candidate))
    state.counters, state.proxies = _stored(servers), _stored(proxies)
    state.looks += 1
    if not state.exposed:
        return
    _divide(state, plan, counted, unanswered)
    for label in plan.tests:
        _compare(state.metrics[label], plan, _arms(plan, label, counted.warm, unanswered))
    _classes(state, plan, counted.warm)


def evidence_of(state: State, plan: Plan, now: float) -> Evidence:
    """What the verdict is reached from."""
    return Evidence(
        allocation=Allocation.restored(state.sample_ratio.model_dump(), _lacking(plan)),
        metrics={label: _known(metric) for label, metric in state.metrics.items()},
        classes={name: Comparison(known.likelihoods) for name, known in state.classes.items()},
        step=state.step,
        seconds=state.seconds(now),
        step_seconds=now - state.step_started_at if state.exposed else 0.0,
        missing=state.missing,
        drift=state.drift,
        absent_seconds=now - state.absent_since if state.exposed and state.absent_since is not None else 0.0,
    )


def new_sample_ratio(plan: Plan) -> SampleRatioState:
    """Nothing known yet."""
    return SampleRatioState(enough=1 / plan.test_alpha)


def _lacking(plan: Plan) -> str | None:
    return plan.candidate if plan.sticky else None


def _pods(stored: dict[str, PodState]) -> dict[str, Pod]:
    return {name: Pod(dict(pod.last), pod.warm_at, pod.seen_at, pod.read_at) for name, pod in stored.items()}


def _stored(counters: Counters) -> dict[str, PodState]:
    return {
        name: PodState(last=pod.last, warm_at=pod.warm_at, seen_at=pod.seen_at, read_at=pod.read_at)
        for name, pod in counters.pods.items()
    }


def _is_new(state: State, found: Reading) -> bool:
    read_at = max((pod.read_at for pod in state.counters.values()), default=float("-inf"))
    return max(sample.at for sample in found.servers) >= read_at + NEW_SECONDS


def _unanswered(found: Increments, versions: Iterable[str]) -> dict[str, int]:
    return {
        version: sum(count for name, count in found.all.items() if name.startswith(key(version, names.UNANSWERED)))
        for version in versions
    }


def _divide(state: State, plan: Plan, counted: Increments, unanswered: dict[str, int]) -> None:
    """Counts that began under other weights, or before every proxy had these, say nothing of the division."""
    if state.weights_since is None or counted.since < state.weights_since + SETTLE_SECONDS:
        return
    known = state.sample_ratio
    trials = {version: counted.all.get(key(version, names.TRIALS), 0) + more for version, more in unanswered.items()}
    known.block = {version: known.block.get(version, 0) + count for version, count in trials.items()}
    known.block_looks += 1
    total = sum(trials.values())
    complete = known.block_looks >= blocks.MAXIMUM_LOOKS or blocks.steady(total, known.last_trials)
    known.last_trials = total
    if complete:
        allocation = Allocation.restored(known.model_dump(), _lacking(plan))
        allocation.add(state.weights, known.block)
        found = allocation.state
        known.closed, known.shares, known.counts = found["closed"], found["shares"], found["counts"]
        known.evidence, known.enough = _exponential(allocation.log_evidence()), 1 / plan.test_alpha
        known.block, known.block_looks = {}, 0


def _exponential(value: float) -> float:
    return exp(min(value, _EXPONENT))


def _arms(plan: Plan, label: str, counted: dict[str, int], unanswered: dict[str, int]) -> tuple[Arm, Arm]:
    kind, _, name = label.partition(":")
    trials, events = {
        Kind.ERRORS: (names.TRIALS, names.ERRORS),
        Kind.LATENCY: (names.TRIALS, f"{names.SLOW} {plan.slow_threshold_seconds:g}"),
        Kind.ACCURACY: (names.TRUTHS, names.WRONG),
        Kind.OUTCOME: (f"{names.OUTCOMES} {name}", f"{names.FAILURES} {name}"),
    }[Kind(kind)]

    def arm(version: str) -> Arm:
        lost = unanswered[version] if kind == Kind.ERRORS else 0
        return Arm(
            trials=counted.get(key(version, trials), 0) + lost, events=counted.get(key(version, events), 0) + lost
        )

    return arm(plan.champion), arm(plan.candidate)


def _compare(known: MetricState, plan: Plan, new: tuple[Arm, Arm]) -> None:
    look = _completed(known, *new)
    if look is None:
        return
    known.step_champion_trials += look.champion_trials
    known.step_candidate_trials += look.candidate_trials
    comparison = Comparison(known.likelihoods).add(look)
    known.likelihoods, known.evidence = comparison.state, comparison.evidence_of_more()
    known.enough = 1 / plan.test_alpha
    known.effect = _known(known).excess(plan.alpha)


def _completed(known: MetricState | ClassState, champion: Arm, candidate: Arm) -> Look | None:
    """Put a look into the block; the whole block once it is complete, which then is in the totals.

    An event that comes after its trial, as a user's first error may, waits for the next trials.
    """
    trials = known.champion.trials + known.candidate.trials
    usual = (known.champion.events + known.candidate.events) / trials if trials else 0.0
    block = known.block
    if not blocks.add(block, champion, candidate, usual):
        return None
    known.block = Block()
    for total, arm, waiting in (
        (known.champion, block.champion, known.block.champion),
        (known.candidate, block.candidate, known.block.candidate),
    ):
        waiting.events = max(0, arm.events - arm.trials)
        arm.events -= waiting.events
        total.trials += arm.trials
        total.events += arm.events
    return Look(block.champion.trials, block.champion.events, block.candidate.trials, block.candidate.events)


def _known(metric: MetricState) -> MetricEvidence:
    return MetricEvidence(
        Comparison(metric.likelihoods),
        Total(metric.champion.trials, metric.champion.events),
        Total(metric.candidate.trials, metric.candidate.events),
        min(metric.step_champion_trials, metric.step_candidate_trials),
    )


def _classes(state: State, plan: Plan, counted: dict[str, int]) -> None:
    found: dict[str, dict[str, int]] = {plan.champion: {}, plan.candidate: {}}
    for series, count in counted.items():
        version, name, label = (*series.split(" ", 2), "")[:3]
        if name == names.PREDICTIONS and version in found:
            label = _class_of(state, label)
            found[version][label] = found[version].get(label, 0) + count
    champion, candidate = found[plan.champion], found[plan.candidate]
    trials, trials_of_candidate = sum(champion.values()), sum(candidate.values())
    for place, (label, known) in enumerate(state.classes.items()):
        old = Arm(trials=trials, events=champion.get(label, 0))
        new = Arm(trials=trials_of_candidate, events=candidate.get(label, 0))
        look = _completed(known, old, new)
        if look is not None:
            comparison = Comparison(known.likelihoods).add(look)
            low, high = comparison.odds_ratio(plan.test_alpha * class_share(place))
            known.likelihoods, known.odds = comparison.state, (low, None if high == float("inf") else high)


def _class_of(state: State, label: str) -> str:
    """The class under which `label` is counted: with very many the last ones are one."""
    if label in state.classes:
        return label
    if len(state.classes) >= MAXIMUM_CLASSES - 1:
        label = OTHER
    state.classes.setdefault(label, ClassState())
    return label
