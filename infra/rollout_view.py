"""An experiment for people: tables and sentences."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from infra.rollout_state import MetricState, Rollout, State

TRY_AGAIN = "a new image or `modelway rollout restart` starts another"


def shown(rollouts: Sequence[Rollout], now: float) -> Group:
    """Every model with its weights, its evidence and its verdict."""
    return Group(*(part for rollout in rollouts for part in _model(rollout, now)))


def _model(rollout: Rollout, now: float) -> Iterator[Text | Table]:
    weights = weights_text(rollout.weights) or "not deployed"
    state = rollout.state
    if not rollout.plan:
        yield Text(f"{rollout.model}: no experiment; {weights}")
        return
    if state is None or not rollout.current:
        yield Text(f"{rollout.model}: {candidate_text(rollout.plan)}: waiting for the judge's first look; {weights}")
        return
    yield Text(f"{rollout.model}: {candidate_text(rollout.plan)}, {status_text(state, now)}; {weights}", style="bold")
    yield _table(state)
    yield Text(verdict_text(state))
    if rollout.pending:
        yield Text("A command waits for the judge.")
    yield Text("")


def _table(state: State) -> Table:
    table = Table(
        "metric", f"{state.champion} (champion)", f"{state.candidate} (candidate)", "difference", "evidence", "enough",
        box=None, pad_edge=False,
    )  # fmt: skip
    for label, metric in state.metrics.items():
        name = f"{label} (guardrail)" if metric.guardrail else label
        table.add_row(
            name,
            totals_text(metric, "champion"),
            totals_text(metric, "candidate"),
            effect_text(metric),
            evidence_text(metric.evidence),
            evidence_text(metric.enough),
        )
    if state.sample_ratio is not None:
        counts, ratio = state.sample_ratio.counts, state.sample_ratio
        table.add_row(
            "sample ratio",
            str(counts.get(state.champion, 0)),
            str(counts.get(state.candidate, 0)),
            "",
            evidence_text(ratio.evidence),
            evidence_text(ratio.enough),
        )
    return table


def candidate_text(plan: Mapping[str, Any]) -> str:
    """Who is compared with whom, and what the judge may do."""
    return f"{plan['candidate']} against {plan['champion']}, mode {plan['mode']}"


def status_text(state: State, now: float) -> str:
    """Where the experiment stands, and since when."""
    if (ended := state.ended) is not None:
        return f"{state.status} {time_text(ended.at)}"
    return f"{state.status} for {duration_text(now - state.started_at)}, step {state.step + 1}"


def verdict_text(state: State) -> str:
    """What the judge thinks, or why it ended."""
    if (ended := state.ended) is not None:
        return f"Ended: {ended.reason}."
    missing = f" (no data: {state.missing})" if state.missing else ""
    return f"Verdict: {state.verdict.decision}: {state.verdict.reason}{missing}."


def weights_text(weights: Mapping[str, int]) -> str:
    """`v1 90 %, v2 10 %`."""
    return ", ".join(f"{version} {weight} %" for version, weight in weights.items())


def totals_text(metric: MetricState, arm: str) -> str:
    """`12 of 3456 (0.35 %)`."""
    totals = getattr(metric, arm)
    share = "" if totals.share is None else f" ({totals.share * 100:.2f} %)"
    return f"{totals.events} of {totals.trials}{share}"


def effect_text(metric: MetricState) -> str:
    """Bounds of the difference in percentage points; nothing while they say nothing."""
    low, high = metric.effect
    return f"{low * 100:+.2f} to {high * 100:+.2f} points" if (low, high) != (-1.0, 1.0) else "unknown"


def evidence_text(value: float) -> str:
    """Three digits, also of numbers beyond all bounds."""
    return f"{value:.3g}" if math.isfinite(value) else "more than 1e300"


def time_text(at: float) -> str:
    """`2026-11-23 20:15:00 UTC`."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration_text(seconds: float) -> str:
    """`1 h 02 min`, `3 min 05 s`, `12 s`."""
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // 60, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{whole} s"


def ended_sentences(rollouts: Sequence[Rollout]) -> list[str]:
    """What ended and stays so while the config is the same: one sentence per experiment."""
    found = []
    for rollout in rollouts:
        state = rollout.state
        if state is None or not rollout.current or (ended := state.ended) is None:
            continue
        told = f"{rollout.model}: {state.candidate} was {state.status} at {time_text(ended.at)}: {ended.reason}"
        kept = f"the weights stay {weights_text(rollout.weights)}"
        if state.status == "promoted":
            adopt = f"give {state.candidate} weight 100 in the stack file and remove the experiment to keep it"
            found.append(f"{told}; {kept}; {adopt}.")
        else:
            found.append(f"{told}; {kept}; {TRY_AGAIN}.")
    return found


def as_json(rollout: Rollout) -> dict[str, Any]:
    """The facts as plain data."""
    state = rollout.state if rollout.current else None
    return {
        "model": rollout.model,
        "experiment": dict(rollout.plan) or None,
        "weights": dict(rollout.weights),
        "state": None if state is None else _finite(state.model_dump(exclude={"series", "command"})),
        "command_waits": bool(rollout.pending),
    }


def _finite(value: Any) -> Any:
    """JSON has no infinity."""
    if isinstance(value, dict):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
