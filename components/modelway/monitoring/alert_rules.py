"""Alerts that a stack writes itself, and what all alerts have in common."""

import copy
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from modelway.monitoring.receivers import PAGE, TICKET
from modelway.monitoring.receivers_args import is_url
from modelway.serving.misfit import Misfit

RUNBOOKS = "docs/runbooks"
"""Where rules say their runbooks are, unless there is a base URL."""
_ALERT_NAME = re.compile(r"[A-Z][A-Za-z0-9]{2,79}")
_IDENTIFIER = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_COUNTERS = (
    *("assigned_requests", "client_requests", "errors", "feature_bin", "feedback", "feedback_outcome_failures"),
    *("feedback_outcome_others", "feedback_outcomes", "feedback_truth", "feedback_truths", "feedback_wrong"),
    *("prediction_bin", "predictions", "refused_connections", "requests", "rollout_decisions", "rollout_problems"),
    *("spans", "subject_errors", "subject_predictions", "subject_slow", "subjects", "worker_restarts"),
)
_GAUGES = (
    *("drift_features", "feature_bin_reference", "feature_drift_ks", "feature_drift_psi", "model_info"),
    *("prediction_bin_reference", "prediction_drift_psi", "queue_rows", "requests_in_flight", "rollout_events"),
    *("rollout_evidence", "rollout_evidence_enough", "rollout_holder", "rollout_look_missing", "rollout_looks"),
    *("rollout_sample_ratio_evidence", "rollout_status", "rollout_trials", "rollout_weight_percent"),
)
EXPORTED = frozenset(
    {
        *(f"modelway_{name}_total" for name in _COUNTERS),
        *(f"modelway_{name}" for name in _GAUGES),
        *(f"modelway_{name}_bucket" for name in ("batch_rows", "request_duration_seconds")),
        *(
            f"modelway_{name}_{part}"
            for name in ("batch_rows", "feedback_absolute_error", "feedback_outcome", "request_duration_seconds")
            for part in ("count", "sum")
        ),
    }
)
"""Series of our own server and of the rollout judge."""


@dataclass(frozen=True)
class AlertRule:
    """One alert that a stack writes itself."""

    name: str
    expression: str
    severity: str
    summary: str
    for_seconds: int = 0
    runbook_url: str = ""


class AlertRuleArgs(TypedDict):
    """One alert of your own."""

    name: str
    """A capital letter first, then letters and digits; no other alert may have it."""
    expression: str
    """PromQL; each series that it finds is an alert."""
    severity: str
    """`page` or `ticket`."""
    summary: str
    """One sentence; may contain Prometheus' templates."""
    for_seconds: NotRequired[int]
    """How long the expression has to hold. Defaults to 0."""
    runbook_url: NotRequired[str]
    """What to do. Defaults to none."""


def alert_rule_of(args: Mapping[str, Any]) -> AlertRule:
    """The alert that `alert_rule_misfits` finds nothing wrong with."""
    return AlertRule(**{**args, "for_seconds": int(args.get("for_seconds", 0))})


def alert_rule_groups(rules: Sequence[AlertRule]) -> list[dict[str, Any]]:
    """One rule group of all of them; none without any."""
    found = []
    for rule in rules:
        notes = {"summary": rule.summary, **({"runbook_url": rule.runbook_url} if rule.runbook_url else {})}
        found.append(
            {
                "alert": rule.name,
                "expr": rule.expression,
                "for": f"{rule.for_seconds}s",
                "labels": {"severity": rule.severity},
                "annotations": notes,
            }
        )
    return [{"name": "modelway_own", "rules": found}] if found else []


def with_runbooks(rules: Mapping[str, Any], base_url: str) -> dict[str, Any]:
    """The content of a rule file with absolute addresses of runbooks; as it is without a base URL."""
    changed = copy.deepcopy(dict(rules))
    for rule in (each for group in changed["groups"] for each in group["rules"] if base_url):
        notes = rule.get("annotations", {})
        if notes.get("runbook_url", "").startswith(f"{RUNBOOKS}/"):
            notes["runbook_url"] = base_url.rstrip("/") + notes["runbook_url"].removeprefix(RUNBOOKS)
    return changed


def alert_rule_misfits(alerts: Sequence[Mapping[str, Any]], rules: Mapping[str, Any]) -> Iterator[Misfit]:
    """Everything wrong with a stack's own alerts, beside `rules`, the content of its rule file without them."""
    theirs = {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    recorded = {rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule}
    seen: set[str] = set()
    for number, alert in enumerate(alerts):
        where, name = f"alerts[{number}]", alert["name"]
        if not _ALERT_NAME.fullmatch(name):
            allowed = "a capital letter first, then 2 to 79 letters and digits"
            yield Misfit(f"{where}.name", "no name of an alert", repr(name), allowed, "rename it")
        if name in theirs | seen:
            got = f"{name!r}, which {'Modelway itself has' if name in theirs else 'stands there twice'}"
            yield Misfit(f"{where}.name", "alert name used twice", got, "each name once", "rename it")
        seen.add(name)
        yield from _fields(where, alert)
        yield from _expression(f"{where}.expression", alert["expression"], EXPORTED | recorded)


def _fields(where: str, alert: Mapping[str, Any]) -> Iterator[Misfit]:
    if alert["severity"] not in (PAGE, TICKET):
        got = repr(alert["severity"])
        yield Misfit(f"{where}.severity", "unknown severity", got, f"{PAGE}, {TICKET}", "correct it")
    if not alert["summary"].strip():
        yield Misfit(f"{where}.summary", "missing", "nothing", "one sentence", "say what is wrong")
    if not 0 <= alert.get("for_seconds", 0) <= 86_400:
        got = f"{alert['for_seconds']:g}"
        yield Misfit(f"{where}.for_seconds", "out of range", got, "0 to 86400", "change it")
    if "runbook_url" in alert and not is_url(alert["runbook_url"]):
        allowed = "http(s)://HOST/…"
        yield Misfit(f"{where}.runbook_url", "no usable URL", repr(alert["runbook_url"]), allowed, "correct it")


def _expression(where: str, expression: str, known: Set[str]) -> Iterator[Misfit]:
    # A stack without alerts of its own need not load the parser.
    import promql_parser

    try:
        parsed = promql_parser.parse(expression)
    except ValueError as error:
        yield Misfit(where, f"no PromQL ({error})", repr(expression), "an expression over a metric", "correct it")
        return
    names: list[str] = []

    def note(part: promql_parser.Expr) -> None:
        if isinstance(part, promql_parser.VectorSelector):
            named = [each.value for each in part.matchers.matchers if each.name == "__name__"]
            names.extend([part.name] if part.name else named)

    promql_parser.walk(parsed, note)
    if not names:
        yield Misfit(where, "asks for no metric", repr(expression), "an expression over a metric", "correct it")
    # A pattern of names is not one of them.
    full = (name for name in names if _IDENTIFIER.fullmatch(name))
    for name in dict.fromkeys(name for name in full if "modelway_" in name and name not in known):
        close = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.0)
        yield Misfit(where, "a metric that nobody exports", repr(name), f"{', '.join(close)}, …", "correct it")
