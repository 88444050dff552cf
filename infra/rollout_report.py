"""An experiment as one HTML file that needs nothing else: the facts of `rollout status`, and how they came about.

Everything that is not ours (names, reasons) is escaped, and a content security policy forbids scripts and any request:
reasons of commands are free text that somebody else may have written.
"""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from typing import Any

from infra.rollout_plot import Axis, Band, plot
from infra.rollout_state import Point, Rollout, State
from infra.rollout_view import (
    candidate_text,
    effect_text,
    evidence_text,
    status_text,
    time_text,
    totals_text,
    verdict_text,
    weights_text,
)

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1b1b1b; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .7rem .3rem 0;
border-bottom: 1px solid #ddd; vertical-align: top; } td.n { font-variant-numeric: tabular-nums; }
.verdict { padding: .6rem .9rem; border-left: 4px solid #1f6fb2; background: #f3f7fb; overflow-wrap: anywhere; }
td { overflow-wrap: break-word; } td:last-child, td:nth-child(4) { overflow-wrap: anywhere; }
svg { width: 100%; height: auto; } svg text { font: 11px system-ui, sans-serif; }
.grid { stroke: #e3e3e3; } .mark { stroke: #777; stroke-dasharray: 2 3; } footer { margin-top: 2rem; color: #555; }
"""


def report(rollout: Rollout, stack: str, now: float) -> str:
    """The file of one experiment, at the time `now`."""
    title = f"Rollout of {rollout.model}"
    state = rollout.state if rollout.current else None
    body = [f"<h1>{escape(title)}</h1>", f"<p>{escape(_headline(rollout, state, now))}</p>"]
    if state is not None:
        body += [
            f'<p class="verdict">{escape(verdict_text(state))}</p>',
            "<h2>Evidence</h2>",
            _metrics(state),
            *_plots(rollout, state),
            "<h2>History</h2>",
            _history(state),
        ]
        if state.previous:
            body += ["<h2>Experiments before</h2>", _previous(state)]
    if rollout.plan:
        body += ["<h2>Plan</h2>", _plan(rollout)]
    body.append(f"<footer>Stack {escape(stack)}, {time_text(now)}, by <code>modelway rollout report</code>.</footer>")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY, quote=True)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _headline(rollout: Rollout, state: State | None, now: float) -> str:
    weights = weights_text(rollout.weights) or "not deployed"
    if state is None:
        return f"The judge has not looked yet. Live weights: {weights}."
    return f"{candidate_text(rollout.plan)}; {status_text(state, now)}. Live weights: {weights}."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    first = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = ["<tr>" + "".join(f'<td class="n">{escape(cell)}</td>' for cell in row) + "</tr>" for row in rows]
    return f"<table><thead><tr>{first}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _stepped(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """A weight holds until the next one."""
    corners = [(after[0], before[1]) for before, after in pairwise(points)]
    return [*(each for pair in zip(points, corners, strict=False) for each in pair), points[-1]]


def _metrics(state: State) -> str:
    rows = [
        (
            f"{label} (guardrail)" if metric.guardrail else label,
            totals_text(metric, "champion"),
            totals_text(metric, "candidate"),
            effect_text(metric),
            f"{evidence_text(metric.evidence)} of {evidence_text(metric.enough)}",
        )
        for label, metric in state.metrics.items()
    ]
    if (ratio := state.sample_ratio) is not None:
        counts = [str(ratio.counts.get(version, 0)) for version in (state.champion, state.candidate)]
        evidence = f"{evidence_text(ratio.evidence)} of {evidence_text(ratio.enough)}"
        rows.append(("sample ratio", counts[0], counts[1], "", evidence))
    head = ("metric", f"{state.champion} (champion)", f"{state.candidate} (candidate)", "difference", "evidence")
    return _table(head, rows)


def _plots(rollout: Rollout, state: State) -> list[str]:
    if len(state.series) < 2:
        return ["<p>Too few looks for a plot.</p>"]
    marks = {
        entry.at: f"{entry.event}: {entry.reason}"
        for entry in state.history
        if state.series[0].at <= entry.at <= state.series[-1].at
    }
    versions = list(dict.fromkeys(version for point in state.series for version in point.weights))
    lines = [
        Band(version, _stepped([(point.at, point.weights.get(version, 0)) for point in state.series]))
        for version in versions
    ]
    weights = Axis("weight", 0, 100, text=lambda value: f"{value:.0f} %")
    name = rollout.model
    return [
        "<h2>Weights over time</h2>",
        plot(f"Weights of {name} in percent", lines, weights, marks),
        "<h2>Evidence that the candidate is worse, over time</h2>",
        plot(f"Evidence of {name}, and what is enough", *_evidence(state), marks),
        "<h2>Difference over time (candidate less champion, percentage points)</h2>",
        plot(f"Bounds of the difference of {name}", *_effects(state), marks),
    ]


def _evidence(state: State) -> tuple[list[Band], Axis]:
    labels = list(state.metrics)
    bands = [Band(label, _values(state.series, label)) for label in labels]
    enough = max((metric.enough for metric in state.metrics.values()), default=1.0)
    ends = [(point.at, enough) for point in (state.series[0], state.series[-1])]
    highest = max([enough * 10, *(value for band in bands for _, value in band.low)])
    lowest = min([0.1, *(value for band in bands for _, value in band.low if value > 0)])
    axis = Axis("evidence", max(lowest, 1e-6), min(highest, 1e12), logarithmic=True, text=evidence_text)
    return [*bands, Band("enough", ends, dashed=True)], axis


def _values(series: Sequence[Point], label: str) -> list[tuple[float, float]]:
    return [(point.at, point.evidence[label]) for point in series if label in point.evidence]


def _effects(state: State) -> tuple[list[Band], Axis]:
    bands = []
    for label in state.metrics:
        known = [point for point in state.series if label in point.effect]
        low, high = ([(point.at, point.effect[label][side] * 100) for point in known] for side in (0, 1))
        bands.append(Band(label, low, high))
    last = [value for band in bands for line in (band.low, band.high) for _, value in line[-max(1, len(line) // 2) :]]
    # The first looks say nothing: they would leave no room for the later ones.
    widest = max([1.0, *(abs(value) for value in last)])
    return bands, Axis("difference", -widest, widest, text=lambda value: f"{value:+.2g}")


def _history(state: State) -> str:
    rows = [
        (time_text(entry.at), entry.event, weights_text(entry.weights), entry.reason, _evidence_cell(entry.evidence))
        for entry in reversed(state.history)
    ]
    return _table(("when", "what", "weights", "why", "evidence"), rows)


def _evidence_cell(evidence: dict[str, float]) -> str:
    return ", ".join(f"{label} {evidence_text(value)}" for label, value in evidence.items())


def _previous(state: State) -> str:
    rows = [
        (time_text(each.ended_at), f"{each.candidate} against {each.champion}", each.status, each.reason)
        for each in reversed(state.previous)
    ]
    return _table(("ended", "what", "how", "why"), rows)


def _plan(rollout: Rollout) -> str:
    return _table(("rule", "value"), [(str(key), _plain(value)) for key, value in rollout.plan.items()])


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={_plain(inner)}" for key, inner in value.items())
    return ", ".join(_plain(each) for each in value) if isinstance(value, list) else str(value)
