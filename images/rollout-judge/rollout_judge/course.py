"""The course of an experiment: how it starts, moves, obeys and ends. Pure: the same state and look, the same result."""

from collections.abc import Sequence
from dataclasses import dataclass

from rollout_judge.look import evidence_of, new_metrics, new_sample_ratio, take
from rollout_judge.plan import Mode, Plan
from rollout_judge.reading import Reading
from rollout_judge.route import baseline, fitted
from rollout_judge.state import MAXIMUM_PREVIOUS, Ended, State, Status, VerdictState, Weights
from rollout_judge.verdict import Decision, Verdict, decide, drift_gate


@dataclass(frozen=True)
class Command:
    """What somebody asks for."""

    id: str
    command: str
    """`promote`, `advance`, `rollback`, `pause`, `resume` or `restart`."""
    version: str | None = None
    """Of `promote` and `rollback`: the version that gets everything."""
    reason: str = ""


def opened(plan: Plan, versions: Sequence[str], before: State | None, now: float) -> State:
    """The state of a new experiment; what is known of the one `before` is kept in short."""
    state = State(
        experiment=plan.experiment,
        champion=plan.champion,
        candidate=plan.candidate,
        mode=plan.mode,
        started_at=now,
        step_started_at=now,
        weights=baseline(plan, list(versions)),
        metrics=new_metrics(plan),
        sample_ratio=new_sample_ratio(plan),
    )
    if before is not None:
        reason = before.history[-1].reason if before.history else ""
        ended = Ended(
            experiment=before.experiment,
            champion=before.champion,
            candidate=before.candidate,
            status=before.status,
            started_at=before.started_at,
            ended_at=before.history[-1].at if before.status.ended and before.history else now,
            reason=reason,
        )
        state.previous = [*before.previous, ended][-MAXIMUM_PREVIOUS:]
        state.history, state.announced, state.command = before.history, before.announced, before.command
    return state


def continued(state: State | None, plan: Plan, versions: Sequence[str], now: float) -> State:
    """The stored state if it is of this experiment, fitted to the route's versions; else a new one."""
    if state is None or state.experiment != plan.experiment:
        return opened(plan, versions, state, now)
    state = state.model_copy(deep=True)
    state.mode = plan.mode
    weights = fitted(state.weights, list(versions), plan.champion)
    if weights != state.weights:
        _move(state, weights, now, "route", f"the route has the versions {', '.join(versions)}")
    return state


def look(state: State, plan: Plan, found: Reading, now: float) -> None:
    """Take one look and do what it leads to."""
    if state.status.ended or not found.taken:
        return
    take(state, plan, found, now)
    if found.missing is None and not state.exposed:
        state.exposed = True
        _step(state, plan, 0, now, "started", f"every pod of {plan.champion} and {plan.candidate} is read")
        return
    verdict = decide(plan, evidence_of(state, plan, now))
    _act(state, plan, verdict, now)
    state.plot(now)


def obey(state: State, plan: Plan, command: Command, now: float) -> State:
    """Do what somebody asked for, or say in the history why not; returns the state to go on with."""
    state.command = command.id
    problem = _refusal(state, command)
    why = f"asked for{': ' + command.reason if command.reason else ''}"
    if problem:
        state.record(now, "command", f"{command.command} was refused: {problem}")
    elif command.command == "restart":
        fresh = opened(plan, list(state.weights), state, now)
        fresh.record(now, "restarted", why)
        return fresh
    elif command.command == "promote":
        _end(state, Status.PROMOTED, command.version or plan.candidate, now, why)
    elif command.command == "rollback":
        _end(state, Status.ROLLED_BACK, command.version or plan.champion, now, why)
    elif command.command == "advance":
        _advance(state, plan, now, why)
    elif command.command == "pause":
        state.status, state.paused_at = Status.PAUSED, now
        state.record(now, "paused", why)
    elif command.command == "resume":
        state.paused_seconds += now - (state.paused_at or now)
        state.status, state.paused_at = Status.RUNNING, None
        state.record(now, "resumed", why)
    return state


def _refusal(state: State, command: Command) -> str | None:
    known = ("promote", "advance", "rollback", "pause", "resume", "restart")
    if command.command not in known:
        return f"there is no such command, allowed are {', '.join(known)}"
    if command.version is not None and command.version not in state.weights:
        return f"the route has no version {command.version}, allowed are {', '.join(state.weights)}"
    wanted = {"pause": (Status.RUNNING,), "resume": (Status.PAUSED,), "advance": (Status.RUNNING, Status.PAUSED)}
    if state.status not in wanted.get(command.command, tuple(Status)):
        return f"the experiment is {state.status}"
    if command.command == "advance" and not state.exposed:
        return "the experiment has not started"
    return None


def _act(state: State, plan: Plan, verdict: Verdict, now: float) -> None:
    """Do what the verdict says as far as the mode lets it; a new reason to do nothing is a line in the history."""
    before, state.verdict = state.verdict, VerdictState(decision=verdict.decision, reason=verdict.reason, at=now)
    forward = verdict.decision in (Decision.ADVANCE, Decision.PROMOTE)
    if verdict.decision is Decision.ROLL_BACK and plan.mode is not Mode.OBSERVE:
        _end(state, Status.ROLLED_BACK, plan.champion, now, verdict.reason)
    elif forward and plan.mode is Mode.AUTOMATIC and state.status is Status.RUNNING:
        _advance(state, plan, now, verdict.reason)
    elif verdict.decision is not Decision.HOLD and verdict.decision != before.decision:
        held = "paused" if state.status is Status.PAUSED else f"mode {plan.mode}"
        state.record(now, "held", f"{verdict.decision}, were it not for {held}: {verdict.reason}")
    elif verdict.decision is Decision.HOLD and _is_trouble(state, plan, verdict) and verdict.reason != before.reason:
        state.record(now, "held", verdict.reason)


def _is_trouble(state: State, plan: Plan, verdict: Verdict) -> bool:
    """Whether a hold is more than the wait for time and trials."""
    known = (state.missing, drift_gate(plan, state.drift))
    return verdict.reason in known or state.sample_ratio.evidence >= state.sample_ratio.enough


def _advance(state: State, plan: Plan, now: float, reason: str) -> None:
    if state.step + 2 < len(plan.steps):
        _step(state, plan, state.step + 1, now, "step", reason)
    else:
        _end(state, Status.PROMOTED, plan.candidate, now, reason)


def _step(state: State, plan: Plan, step: int, now: float, event: str, reason: str) -> None:
    share = plan.steps[step]
    weights = dict.fromkeys(state.weights, 0) | {plan.champion: 100 - share, plan.candidate: share}
    state.step, state.step_started_at = step, now
    for metric in state.metrics.values():
        metric.step_champion_trials = metric.step_candidate_trials = 0
    _move(state, weights, now, event, reason)


def _end(state: State, status: Status, version: str, now: float, reason: str) -> None:
    state.status, state.paused_at = status, None
    event = "promoted" if status is Status.PROMOTED else "rolled back"
    _move(state, dict.fromkeys(state.weights, 0) | {version: 100}, now, event, reason)


def _move(state: State, weights: Weights, now: float, event: str, reason: str) -> None:
    if weights != state.weights:
        state.weights_since = None
    state.weights = weights
    state.record(now, event, reason)
