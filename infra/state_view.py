"""The state of a stack for people and for programs. What nobody knows is `-` for the ones, null for the others."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.table import Table

from infra.observed import ANSWERS, Alert
from infra.rollout_state import Rollout
from infra.rollout_view import candidate_text, duration_text, status_text, verdict_text
from infra.state import StackState, VersionState

UNKNOWN = "-"


def table(state: StackState) -> Table:
    """One line per version."""
    objectives = list(dict.fromkeys(name for each in state.versions for name in each.objectives))
    budgets = [f"{name} budget left" for name in objectives]
    names = ["model", "version", "share", "pods ready", "requests/s", "p50", "p99", "errors", *budgets, "drift"]
    result = Table(*names, title=f"stack {state.stack}", box=None, pad_edge=False)
    before = ""
    for each in state.versions:
        facts = each.facts
        result.add_row(
            "" if each.model == before else each.model,
            each.version,
            "shadow" if each.shadow else f"{each.weight} %",
            UNKNOWN if each.ready is None else f"{each.ready}/{each.wanted}",
            UNKNOWN if facts.requests_per_second is None else f"{facts.requests_per_second:.3g}",
            _time(facts.p50_seconds),
            _time(facts.p99_seconds),
            _share(facts.error_share),
            *(_share(facts.budget_left.get(name)) for name in objectives),
            _drift(each),
        )
        before = each.model
    return result


def lines(state: StackState, now: float) -> Iterator[str]:
    """What the table has no room for: alerts, experiments, URLs."""
    for alert in state.alerts:
        yield _alert(alert, now)
    for name, rollout in state.experiments.items():
        yield f"Experiment of {name}: {_experiment(rollout, now)}"
    for model in dict.fromkeys(each.model for each in state.versions):
        if model in state.split_urls:
            yield f"{model}: {state.split_urls[model]}"
        yield from (
            f"{model} {each.version}: {each.url}" for each in state.versions if each.model == model and each.url
        )


def remarks(state: StackState) -> Iterator[str]:
    """How the cluster and Prometheus are, in sentences."""
    yield f"Cluster: {state.cluster}." + ("" if state.deployed else " The stack is not deployed.")
    if state.unread:
        yield f"Weights are those of the config, and experiments are unknown: {state.unread}"
    if state.cluster == ANSWERS:
        fires = "no alert fires" if not state.alerts else f"{len(state.alerts)} alerts fire"
        fires = "1 alert fires" if len(state.alerts) == 1 else fires
        yield f"Monitoring: {f'it answers; {fires}' if state.monitoring == ANSWERS else state.monitoring}."


def _alert(alert: Alert, now: float) -> str:
    whose = " ".join(part for part in (alert.model, alert.version) if part)
    named = f"{alert.name} ({alert.severity})" if alert.severity else alert.name
    said = f"Alert {named}{f' of {whose}' if whose else ''}, for {duration_text(now - alert.since)}"
    if alert.summary:
        said += f": {alert.summary}"
    return f"{said}." + (f" Runbook: {alert.runbook}" if alert.runbook else "")


def _experiment(rollout: Rollout, now: float) -> str:
    pair = candidate_text(rollout.plan)
    if rollout.state is None or not rollout.current:
        return f"{pair}: waiting for the judge's first look."
    return f"{pair}, {status_text(rollout.state, now)}. {verdict_text(rollout.state)}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return UNKNOWN
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _share(share: float | None) -> str:
    if share is None:
        return UNKNOWN
    percent = share * 100
    return f"{percent:.0f} %" if abs(percent) >= 100 else f"{percent:.3g} %"


def _drift(version: VersionState) -> str:
    """PSI of the predictions, and of the feature that drifted most."""
    facts = version.facts
    if facts.prediction_drift is None and facts.feature_drift is None:
        return UNKNOWN
    predictions = UNKNOWN if facts.prediction_drift is None else f"{facts.prediction_drift:.2f}"
    feature = "" if facts.feature_drift is None else f", {facts.drifted_feature} {facts.feature_drift:.2f}"
    return f"{predictions}{feature}"


def as_json(state: StackState) -> dict[str, Any]:
    """The state as plain data, in the shape that docs/status.md promises."""
    return {
        "stack": state.stack,
        "deployed": state.deployed,
        "cluster": state.cluster,
        "monitoring": state.monitoring,
        "unread": state.unread,
        "alerts": [asdict(alert) for alert in state.alerts],
        "models": [_model(state, model) for model in dict.fromkeys(each.model for each in state.versions)],
    }


def _model(state: StackState, name: str) -> dict[str, Any]:
    versions = [_version(each) for each in state.versions if each.model == name]
    experiment = _facts_of(state.experiments[name]) if name in state.experiments else None
    return {"model": name, "url": state.split_urls.get(name, ""), "experiment": experiment, "versions": versions}


def _version(each: VersionState) -> dict[str, Any]:
    facts = each.facts
    return {
        "version": each.version,
        "weight": each.weight,
        "shadow": each.shadow,
        "ready": each.ready,
        "wanted": each.wanted,
        "url": each.url,
        "requests_per_second": facts.requests_per_second,
        "error_share": facts.error_share,
        "p50_seconds": facts.p50_seconds,
        "p99_seconds": facts.p99_seconds,
        "budget_left": {name: facts.budget_left.get(name) for name in each.objectives},
        "prediction_drift": facts.prediction_drift,
        "feature_drift": facts.feature_drift,
        "drifted_feature": facts.drifted_feature,
    }


def _facts_of(rollout: Rollout) -> dict[str, Any]:
    state = rollout.state if rollout.current else None
    return {
        "champion": rollout.plan["champion"],
        "candidate": rollout.plan["candidate"],
        "mode": rollout.plan["mode"],
        "status": state.status if state else None,
        "step": state.step + 1 if state else None,
        "decision": state.verdict.decision if state else None,
        "reason": state.verdict.reason if state else None,
    }
