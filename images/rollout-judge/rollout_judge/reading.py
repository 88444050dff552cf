"""What one look reads from Prometheus: raw counters of every pod of both versions, with the time of their scrape.

A look counts only where every pod of both versions is up and was scraped a moment ago. `up` as an instant vector says
which pods there are now; a range vector gives raw samples with their own time stamps, those of pods that are gone too.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, isfinite
from typing import Any, Protocol

from rollout_judge.counters import Sample
from rollout_judge.plan import Kind, Plan

FRESH_SECONDS = 15.0
"""Three scrapes: older values are those of a pod that Prometheus does not reach."""
RANGE = "1m"
TRIALS = "modelway_subjects_total"
ERRORS = "modelway_subject_errors_total"
SLOW = "modelway_subject_slow_total"
PREDICTIONS = "modelway_subject_predictions_total"
TRUTHS, WRONG = "modelway_feedback_truths_total", "modelway_feedback_wrong_total"
OUTCOMES, FAILURES = "modelway_feedback_outcomes_total", "modelway_feedback_outcome_failures_total"
OTHERS = "modelway_feedback_outcome_others_total"
PREDICTION_DRIFT = "model_version:modelway_prediction_drift_psi:"
"""Recorded by the rules of `MonitoringStack`, per window, from 500 rows on."""
UNANSWERED = "unanswered"
"""Requests that no pod answered, by the gateway's count; a key of increments and no name of a series."""
NO_VERSION = "-"
"""Stands for the version where the gateway counts one cluster for all: only with a filter on every backend it has one
each (Envoy Gateway 1.9.1)."""
PROXY_FAILURES = (
    "envoy_cluster_upstream_cx_none_healthy",
    "envoy_cluster_upstream_rq_pending_failure_eject",
    "envoy_cluster_upstream_rq_pending_overflow",
    "envoy_cluster_upstream_rq_rx_reset",
    "envoy_cluster_upstream_rq_timeout",
)
"""A request without an answer of its pod adds one to exactly one of these: no endpoint, no or a broken connection, too
many waiting, a reset stream, no answer in time (https://www.envoyproxy.io/docs/envoy/latest/configuration/upstream/cluster_manager/cluster_stats)."""

Series = Mapping[str, Any]


class Prometheus(Protocol):
    """What answers queries."""

    def now(self) -> float:
        """Its clock, seconds since 1970; raises `UnavailableError`."""

    def query(self, expression: str) -> Sequence[Series]:
        """Result of an instant query; raises `UnavailableError`."""


class UnavailableError(Exception):
    """Prometheus gave no usable answer; the text says why."""


@dataclass(frozen=True)
class Source:
    """Where a model's numbers are."""

    model: str
    namespace: str
    gateway_namespace: str
    versions: tuple[str, ...]
    """By position in the split route's backends."""


@dataclass(frozen=True)
class Reading:
    """Raw counters; without `missing` every pod of both versions is among them."""

    servers: tuple[Sample, ...] = ()
    proxies: tuple[Sample, ...] = ()
    missing: str | None = None
    absent: bool = False
    """Whether no pod of the candidate is up while every one of the champion is."""
    drift: float | None = None
    """PSI of the candidate's predictions, if the plan asks for it and there is one."""
    taken: bool = True
    """False: nobody asked, since the experiment is over."""


def key(version: str, name: str, label: str = "") -> str:
    """Name of a sum over pods: `v1 modelway_subjects_total`, with the class or the outcome behind it."""
    return f"{version} {name} {label}".rstrip()


def read(prometheus: Prometheus, plan: Plan, source: Source, now: float) -> Reading:
    """Everything of one look; `now` is this machine's clock, to which the times of scrapes are shifted."""
    own = f'model="{source.model}",namespace="{source.namespace}",version=~"{_either((plan.champion, plan.candidate))}"'
    try:
        shift = now - prometheus.now()
        targets = prometheus.query(f'up{{job="model-servers",{own}}}')
        found = prometheus.query(f'{{job="model-servers",__name__=~"{_either(_names(plan))}",{own}}}[{RANGE}]')
        proxies = prometheus.query(_proxy_query(source))
        drift = _drift(prometheus, plan)
    except UnavailableError as error:
        return Reading(missing=str(error))
    missing = _missing(plan, targets, found, now - shift)
    if missing is not None:
        return Reading(missing=missing, absent=_is_absent(plan, targets))
    pods = {one["metric"]["pod"] for one in targets}
    moment = min(last_scrape(one) for one in found if one["metric"]["pod"] in pods)
    servers, lost = _samples(found, moment, shift), _proxy_samples(proxies, source, moment, shift)
    return Reading(tuple(servers), tuple(lost), drift=drift)


def _drift(prometheus: Prometheus, plan: Plan) -> float | None:
    if plan.drift_psi is None:
        return None
    series = f"{PREDICTION_DRIFT}{plan.drift_window}"
    values = [
        float(one["value"][1])
        for one in prometheus.query(f'{series}{{model="{plan.model}",version="{plan.candidate}"}}')
    ]
    return next((value for value in values if isfinite(value)), None)


def _either(names: Iterable[str]) -> str:
    return "|".join(re.escape(name).replace("\\", "\\\\") for name in names)


def _names(plan: Plan) -> list[str]:
    kinds = {metric.kind for metric in plan.metrics}
    names = [TRIALS, ERRORS, SLOW, PREDICTIONS]
    names += [TRUTHS, WRONG] if Kind.ACCURACY in kinds else []
    return names + ([OUTCOMES, FAILURES, OTHERS] if Kind.OUTCOME in kinds else [])


def _proxy_query(source: Source) -> str:
    cluster = f"httproute/{source.namespace}/{source.model}-split/rule/.*"
    names = f'job="gateway",namespace="{source.gateway_namespace}",__name__=~"{_either(PROXY_FAILURES)}"'
    return f'{{{names},envoy_cluster_name=~"{cluster}"}}[{RANGE}]'


def last_scrape(series: Series) -> float:
    """Time of the newest value, by Prometheus' clock."""
    return float(series["values"][-1][0])


def value_at(values: Sequence[tuple[float, str]], moment: float) -> float | None:
    """The counter at `moment`: between two scrapes as if it grew evenly, whole; None before the first scrape.

    Pods are scraped at different moments; what their looks count should yet be of the same seconds.
    """
    before = [(at, float(value)) for at, value in values if at <= moment]
    after = [(at, float(value)) for at, value in values if at > moment]
    if not before:
        return None
    at, value = before[-1]
    if after and after[0][1] > value:
        value += (after[0][1] - value) * (moment - at) / (after[0][0] - at)
    return float(floor(value))


def _samples(series: Sequence[Series], moment: float, shift: float) -> Iterable[Sample]:
    for one in series:
        labels, value = one["metric"], value_at(one["values"], moment)
        if value is None:
            continue
        yield Sample(labels["pod"], _key_of(one), value, moment + shift)


def _key_of(series: Series) -> str:
    labels = series["metric"]
    more = labels.get("prediction") or labels.get("outcome") or labels.get("threshold") or ""
    return key(labels["version"], labels["__name__"], more)


def _proxy_samples(series: Sequence[Series], source: Source, moment: float, shift: float) -> Iterable[Sample]:
    """Envoy Gateway numbers the clusters of a rule by the backend; one for the whole rule names no version."""
    for one in series:
        labels, value = one["metric"], value_at(one["values"], moment)
        if value is None:
            continue
        found = re.search(r"/backend/(\d+)$", labels["envoy_cluster_name"])
        position = int(found[1]) if found else len(source.versions)
        version = source.versions[position] if position < len(source.versions) else NO_VERSION
        name = f"{labels['__name__']} of {labels['envoy_cluster_name']}"
        yield Sample(labels["pod"], key(version, UNANSWERED, name), value, moment + shift)


def _missing(plan: Plan, targets: Sequence[Series], found: Sequence[Series], now: float) -> str | None:
    """Why this look does not count, None when it does; `now` by Prometheus' clock."""
    wanted = (TRIALS, ERRORS, f"{SLOW} {plan.slow_threshold_seconds:g}")
    read_at = {(one["metric"]["pod"], _key_of(one)): last_scrape(one) for one in found}
    for version in (plan.champion, plan.candidate):
        pods = {one["metric"]["pod"]: one["value"][1] == "1" for one in targets if one["metric"]["version"] == version}
        if not pods:
            return f"{version} has no pod in Prometheus"
        if (up := sum(pods.values())) < len(pods):
            return f"{version} has {up} of {len(pods)} pods up in Prometheus"
        for pod in sorted(pods):
            for name in wanted:
                at = read_at.get((pod, key(version, name)))
                if at is None:
                    return f"{version} has no {name.split()[0]} of pod {pod}"
                if now - at > FRESH_SECONDS:
                    return f"{version} has no fresh {name.split()[0]} of pod {pod}"
    return _not_binary(plan, found)


def _is_absent(plan: Plan, targets: Sequence[Series]) -> bool:
    champion, candidate = (
        [one["value"][1] == "1" for one in targets if one["metric"]["version"] == version]
        for version in (plan.champion, plan.candidate)
    )
    return bool(champion) and all(champion) and not any(candidate)


def _not_binary(plan: Plan, found: Sequence[Series]) -> str | None:
    others = {
        one["metric"]["outcome"]
        for one in found
        if one["metric"]["__name__"] == OTHERS and float(one["values"][-1][1]) > 0
    }
    names = sorted(metric.name for metric in plan.metrics if metric.name is not None and metric.name in others)
    return f"the outcome {names[0]} has values other than 0 and 1, so that it counts nothing" if names else None
