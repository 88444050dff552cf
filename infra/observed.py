"""What Prometheus knows of a stack now, asked through the API server's proxy: one query, and the list of alerts."""

import json
import math
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from infra.names import MONITORING_NAMESPACE

ANSWERS = "answers"
"""What is said of something that answers."""
ASK_SECONDS = 10
PROXY = f"/api/v1/namespaces/{MONITORING_NAMESPACE}/services/prometheus:http/proxy/api/v1"
REQUESTS = "model_version:modelway_requests:rate1m"
ERRORS = "model_version:modelway_request_errors:rate1m"
P50 = "model_version:modelway_request_duration_seconds:p50"
P99 = "model_version:modelway_request_duration_seconds:p99"
BUDGET = "model_version_slo:modelway_slo_budget_left:ratio30d"
PREDICTIONS = "model_version:modelway_prediction_drift_psi:1h"
FEATURES = "model_version_feature:modelway_feature_drift_psi:1h"
QUERY = (
    f'{{__name__=~"{"|".join((REQUESTS, ERRORS, P50, P99, BUDGET, PREDICTIONS))}"}} '
    f"or topk by (model, version) (1, {FEATURES})"
)
"""Every recorded series that is shown; of the features only the one that drifted most."""
FIRST, LATER = "page", "ticket"
NO_DATA = (
    "it has no data of these models yet; the first numbers come about 20 s after the first request, "
    "those of drift with 500 rows in an hour"
)


@dataclass(frozen=True)
class Facts:
    """One version. What Prometheus does not know is None."""

    requests_per_second: float | None = None
    """Over the last minute, as the servers count them."""
    error_share: float | None = None
    """Share of answers with 5xx in the last minute, 0 to 1; None without requests."""
    p50_seconds: float | None = None
    p99_seconds: float | None = None
    budget_left: Mapping[str, float] = field(default_factory=dict)
    """What is left of the error budget, by objective (`availability`, `latency`): 1 is all, less than 0 overdrawn."""
    prediction_drift: float | None = None
    """PSI of the predictions of the last hour against the reference."""
    feature_drift: float | None = None
    """PSI of the feature that drifted most."""
    drifted_feature: str | None = None


@dataclass(frozen=True)
class Alert:
    """An alert that fires."""

    name: str
    severity: str
    model: str
    """Empty where it concerns no single model; so is the version."""
    version: str
    since: float
    """Seconds since 1970 when its condition was met first."""
    summary: str
    runbook: str


@dataclass(frozen=True)
class Observed:
    """Everything that was asked of Prometheus."""

    monitoring: str
    """`answers`, else why there are no numbers, in one sentence."""
    facts: Mapping[tuple[str, str], Facts] = field(default_factory=dict)
    """By model and version."""
    alerts: Sequence[Alert] = ()


def observe(kubectl: Sequence[str], models: Sequence[str]) -> Observed:
    """What Prometheus knows of these models, and every alert that fires."""
    samples, refusal = _asked(kubectl, "query?" + urlencode({"query": QUERY}))
    if refusal:
        return Observed(refusal)
    alerts, refusal = _asked(kubectl, "alerts")
    if refusal:
        return Observed(refusal)
    facts = {key: each for key, each in facts_of(samples["result"]).items() if key[0] in models}
    return Observed(ANSWERS if facts else NO_DATA, facts, alerts_of(alerts["alerts"]))


def facts_of(samples: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Facts]:
    """The facts by model and version out of the answer to `QUERY`."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for sample in samples:
        labels, value = sample["metric"], _number(sample["value"][1])
        if value is not None:
            own = found.setdefault((labels["model"], labels["version"]), {"budgets": {}})
            _put(own, labels, value)
    return {key: _facts(own) for key, own in found.items()}


def _put(own: dict[str, Any], labels: Mapping[str, str], value: float) -> None:
    if labels["__name__"] == BUDGET:
        own["budgets"][labels["slo"]] = value
        return
    own[labels["__name__"]] = value
    if labels["__name__"] == FEATURES:
        own["feature"] = labels["feature"]


def _facts(own: Mapping[str, Any]) -> Facts:
    requests, errors = own.get(REQUESTS), own.get(ERRORS)
    return Facts(
        requests_per_second=requests,
        error_share=errors / requests if requests and errors is not None else None,
        p50_seconds=own.get(P50),
        p99_seconds=own.get(P99),
        budget_left=own["budgets"],
        prediction_drift=own.get(PREDICTIONS),
        feature_drift=own.get(FEATURES),
        drifted_feature=own.get("feature"),
    )


def alerts_of(alerts: Sequence[Mapping[str, Any]]) -> list[Alert]:
    """Those that fire, pages first, the oldest first."""
    firing = [_alert(each) for each in alerts if each["state"] == "firing"]
    order = (FIRST, LATER)
    return sorted(firing, key=lambda each: (each.severity not in order, each.severity, each.since, each.name))


def _alert(each: Mapping[str, Any]) -> Alert:
    labels, notes = each["labels"], each.get("annotations") or {}
    return Alert(
        name=labels["alertname"],
        severity=labels.get("severity", ""),
        model=labels.get("model", ""),
        version=labels.get("version", ""),
        since=datetime.fromisoformat(each["activeAt"]).timestamp(),
        summary=notes.get("summary", ""),
        runbook=notes.get("runbook_url", ""),
    )


def _number(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _asked(kubectl: Sequence[str], question: str) -> tuple[dict[str, Any], str]:
    """The data of an answer, and why there is none, in words."""
    command = [*kubectl, "get", "--raw", f"{PROXY}/{question}", f"--request-timeout={ASK_SECONDS}s"]
    asked = subprocess.run(command, capture_output=True, text=True, check=False)
    if asked.returncode:
        return {}, _refusal(asked.stderr)
    try:
        return dict(json.loads(asked.stdout)["data"]), ""
    except (ValueError, KeyError, TypeError):
        return {}, "what answers in its place is no Prometheus"


def _refusal(stderr: str) -> str:
    last = (stderr.strip().splitlines() or ["no answer"])[-1].rstrip("?.")
    if "(NotFound)" in last:
        return f"there is no Prometheus in {MONITORING_NAMESPACE}; `modelway up` deploys it"
    if "(Forbidden)" in last:
        return f"you may not ask it; it takes the verb get on services/proxy in {MONITORING_NAMESPACE}"
    if "no endpoints available" in last:
        return f"no pod of it is ready; `kubectl get pods -n {MONITORING_NAMESPACE}` says why"
    return f"it does not answer: {last}"
