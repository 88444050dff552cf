"""A world for the judge in tests: versions that answer requests, a gateway that divides them, and a Prometheus."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rollout_judge import course
from rollout_judge.plan import Kind, Metric, Mode, Plan
from rollout_judge.reading import Series, Source, UnavailableError, read
from rollout_judge.state import State

SCRAPE_SECONDS = 5
OFFSETS = {"v1": 3, "v2": 0}
"""Second of the interval in which a version is scraped: the candidate is always known some seconds later."""
SCRAPES = 12
LABELS = {"subject_slow": "threshold", "subject_predictions": "prediction", "feedback_outcome_others": "outcome"}
START = 1_000_000.0
VERSIONS = ("v1", "v2")
SOURCE = Source("m", "models", "gateway", VERSIONS)
ROUTE: dict[str, Any] = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"name": "m-split", "namespace": "models"},
    "spec": {
        "rules": [
            {
                "matches": [{"path": {"type": "Exact", "value": "/m/predict"}}],
                "timeouts": {"request": "30s"},
                "backendRefs": [
                    {"group": "", "kind": "Service", "name": f"m-{version}", "port": 8080, "weight": weight}
                    for version, weight in (("v1", 100), ("v2", 0))
                ],
            }
        ]
    },
}


def plan(**changes: Any) -> Plan:
    """An automatic experiment of v2 against v1 about errors."""
    fields = {"model": "m", "champion": "v1", "candidate": "v2", "experiment": "e1", "warmup_seconds": 0.0}
    metrics = (Metric(kind=Kind.ERRORS),)
    return Plan(**{**fields, "metrics": metrics, "mode": Mode.AUTOMATIC, "steps": (10, 50, 100), **changes})


@dataclass
class Version:
    """How a version answers."""

    errors: float = 0.001
    """Share."""
    slow: float = 0.01
    """Share over the threshold."""
    classes: dict[str, float] = field(default_factory=lambda: {"benign": 0.63, "malignant": 0.37})
    unanswered: float = 0.0
    """Share of requests that never reach a pod."""


@dataclass
class World:
    """Time in whole seconds from 1,000,000 on; requests arrive as a Poisson process."""

    versions: dict[str, Version] = field(default_factory=lambda: {name: Version() for name in VERSIONS})
    rate: float = 50.0
    seed: int = 1
    down: bool = False
    """Whether Prometheus does not answer."""
    hidden: set[str] = field(default_factory=set)
    """Versions whose pods are not up in Prometheus."""
    drift: float | None = None
    """PSI of the candidate's predictions."""
    disturbed: float = 0.0
    """Share of errors and of slow answers of both versions in a second with a disturbance."""
    disturbances: frozenset[int] = frozenset()
    """Seconds since the start with one."""

    def __post_init__(self) -> None:
        self.time = START
        self.draw = np.random.default_rng(self.seed)
        self.counts: dict[tuple[str, str, str], float] = {}
        self.lost: dict[str, float] = dict.fromkeys(self.versions, 0.0)
        self.scraped: dict[str, list[tuple[float, dict[tuple[str, str, str], float]]]] = {}
        self.lost_at: list[tuple[float, dict[str, float]]] = []
        self.requests: dict[str, int] = dict.fromkeys(self.versions, 0)
        for name, version in self.versions.items():
            for series in (("subjects", ""), ("subject_errors", ""), ("subject_slow", "0.1")):
                self.counts[name, *series] = 0.0
            for label in version.classes:
                self.counts[name, "subject_predictions", label] = 0.0
        self._scrape_all()

    def second(self, weights: dict[str, int]) -> None:
        """One second of requests under `weights`, and the scrapes that fall into it."""
        self.time += 1
        names = list(weights)
        total = int(self.draw.poisson(self.rate))
        shares = [weights[name] / 100 for name in names]
        for name, count in zip(names, self.draw.multinomial(total, shares), strict=True):
            self._answer(name, int(count))
        for name in self.versions:
            if int(self.time) % SCRAPE_SECONDS == OFFSETS[name]:
                self._scrape(name)

    def _answer(self, name: str, count: int) -> None:
        version = self.versions[name]
        self.requests[name] += count
        lost = int(self.draw.binomial(count, version.unanswered))
        self.lost[name] += lost
        met = count - lost
        more = self.disturbed if int(self.time - START) in self.disturbances else 0.0
        failed = int(self.draw.binomial(met, max(version.errors, more)))
        self.counts[name, "subjects", ""] += met
        self.counts[name, "subject_errors", ""] += failed
        self.counts[name, "subject_slow", "0.1"] += int(self.draw.binomial(met, max(version.slow, more)))
        classes = self.draw.multinomial(met - failed, list(version.classes.values()))
        for label, found in zip(version.classes, classes, strict=True):
            self.counts[name, "subject_predictions", label] += int(found)

    def _scrape(self, name: str) -> None:
        own = {series: value for series, value in self.counts.items() if series[0] == name}
        self.scraped[name] = [*self.scraped.get(name, []), (self.time, own)][-SCRAPES:]
        self.lost_at = [*self.lost_at, (self.time, dict(self.lost))][-SCRAPES:]

    def _scrape_all(self) -> None:
        for name in self.versions:
            self._scrape(name)

    def now(self) -> float:
        """Prometheus' clock."""
        if self.down:
            raise UnavailableError("Prometheus does not answer: ConnectError")
        return self.time

    def query(self, expression: str) -> Sequence[Series]:
        """Answer the judge's three questions."""
        if self.down:
            raise UnavailableError("Prometheus does not answer: ConnectError")
        if expression.startswith("up{"):
            return [
                {
                    "metric": {"pod": f"m-{name}-0", "version": name},
                    "value": [self.time, str(int(name not in self.hidden))],
                }
                for name in self.versions
            ]
        if expression == 'model_version:modelway_prediction_drift_psi:1h{model="m",version="v2"}':
            return [{"metric": {}, "value": [self.time, str(self.drift)]}] if self.drift is not None else []
        if "envoy_cluster_name" in expression:
            return [self._proxy(position, name) for position, name in enumerate(self.versions)]
        wanted = re.search(r'__name__=~"([^"]+)"', expression)
        names = set(wanted[1].split("|")) if wanted else set()
        return [one for name in self.versions for one in self._series(name) if one["metric"]["__name__"] in names]

    def _series(self, name: str) -> list[Series]:
        found: list[Series] = []
        for version, series, label in self.scraped[name][-1][1]:
            values = [[at, str(own[version, series, label])] for at, own in self.scraped[name]]
            labels = {"__name__": f"modelway_{series}_total", "pod": f"m-{name}-0", "version": version}
            if label:
                labels[LABELS[series]] = label
            found.append({"metric": labels, "values": values})
        return found

    def _proxy(self, position: int, name: str) -> Series:
        labels = {
            "__name__": "envoy_cluster_upstream_cx_none_healthy",
            "pod": "proxy-0",
            "envoy_cluster_name": f"httproute/models/m-split/rule/0/backend/{position}",
        }
        return {"metric": labels, "values": [[at, str(lost[name])] for at, lost in self.lost_at]}


def run(world: World, judged: Plan, seconds: int, look_seconds: int = 5, state: State | None = None) -> State:
    """The experiment's course over `seconds`, without Kubernetes: weights are those of the state at once."""
    state = course.continued(state, judged, VERSIONS, world.time)
    for second in range(seconds):
        if second % look_seconds == 0:
            state = course.continued(state, judged, VERSIONS, world.time)
            state.weights_since = state.weights_since or world.time
            course.look(state, judged, read(world, judged, SOURCE, world.time), world.time)
            if state.status.ended:
                return state
        world.second(state.weights)
    return state
