"""All that the judge knows of an experiment, as one document: `state.json` in the ConfigMap `NAME-experiment-state`.

What was read last and the evidence that came of it are one write, so that a judge that is killed at any moment goes on
with the same evidence and counts nothing twice. What is to be done is written before it is done: weights here are what
the route shall have, and whoever comes next makes it so. Times are seconds since 1970.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from rollout_judge.comparison import GRID
from rollout_judge.plan import Mode

FORMAT = 1
MAXIMUM_HISTORY = 200
MAXIMUM_POINTS = 300
MAXIMUM_PREVIOUS = 5

Weights = dict[str, int]
"""Percent by version, every version of the route; they sum to 100."""
Interval = tuple[float, float]


class Status(StrEnum):
    """Where an experiment stands."""

    RUNNING = "running"
    PAUSED = "paused"
    """Asked for: no step forward, and the clock stands; harm still rolls back where the mode lets it."""
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"

    @property
    def ended(self) -> bool:
        """Whether nothing is compared any more."""
        return self in (Status.PROMOTED, Status.ROLLED_BACK)


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Arm(_Document):
    """Totals of one metric in one version."""

    trials: int = 0
    events: int = 0


class Block(_Document):
    """Looks that are not compared yet; see `blocks`."""

    champion: Arm = Field(default_factory=Arm)
    candidate: Arm = Field(default_factory=Arm)
    looks: int = 0


class MetricState(_Document):
    """All that is known of one metric, or of one guardrail."""

    champion: Arm = Field(default_factory=Arm)
    candidate: Arm = Field(default_factory=Arm)
    step_champion_trials: int = 0
    """Since the step began."""
    step_candidate_trials: int = 0
    guardrail: bool = False
    """Whether it can only roll back, since the plan has it not among its metrics."""
    evidence: float = 1.0
    """That the candidate has more events; `enough` of it rolls back."""
    enough: float
    effect: Interval = (-1.0, 1.0)
    """Bounds of the candidate's share less the champion's, right at all looks together with probability 1 − alpha."""
    likelihoods: list[float] = Field(default_factory=lambda: [0.0] * len(GRID))
    """State of `comparison.Comparison`."""
    block: Block = Field(default_factory=Block)
    """What is in none of the above yet."""


class ClassState(_Document):
    """How often one class was predicted; `events` of both arms, `trials` all predictions."""

    champion: Arm = Field(default_factory=Arm)
    candidate: Arm = Field(default_factory=Arm)
    odds: tuple[float, float | None] = (0.0, None)
    """Bounds of the candidate's odds as a multiple of the champion's; None: no upper bound."""
    likelihoods: list[float] = Field(default_factory=lambda: [0.0] * len(GRID))
    block: Block = Field(default_factory=Block)


class SampleRatioState(_Document):
    """Whether traffic is divided as weighted."""

    evidence: float = 1.0
    """That it is not; from `enough` on nothing can be compared."""
    enough: float
    closed: float = 0.0
    """Log evidence of stretches with other weights."""
    shares: dict[str, float] = Field(default_factory=dict)
    """By version, of the stretch that runs."""
    counts: dict[str, int] = Field(default_factory=dict)
    block: dict[str, int] = Field(default_factory=dict)
    """Of looks that are not counted yet, by version."""
    block_looks: int = 0
    last_trials: int = 0
    """Of the look before, in all."""


class PodState(_Document):
    """What was read last of one pod; see `counters.Pod`."""

    last: dict[str, float]
    warm_at: float
    seen_at: float
    read_at: float


class VerdictState(_Document):
    """What the judge last thought; in a mode that forbids it, it was not done."""

    decision: str = "hold"
    reason: str = "nothing was read yet"
    at: float = 0.0


class Entry(_Document):
    """One line of the history."""

    number: int
    """Counts on over all experiments of this ConfigMap; the Kubernetes Event is named by it."""
    at: float
    event: str
    """`started`, `step`, `promoted`, `rolled back`, `paused`, `resumed`, `restarted`, `held`, `command` or `route`."""
    weights: Weights
    reason: str
    evidence: dict[str, float] = Field(default_factory=dict)


class Point(_Document):
    """One look in the plot."""

    at: float
    weights: Weights
    evidence: dict[str, float]
    effect: dict[str, Interval]


class Ended(_Document):
    """An experiment that is over, or was started again."""

    experiment: str
    champion: str
    candidate: str
    status: str
    started_at: float
    ended_at: float
    reason: str


class State(_Document):
    """The document."""

    version: Annotated[int, Field(ge=FORMAT, le=FORMAT)] = FORMAT
    experiment: str
    champion: str
    candidate: str
    status: Status = Status.RUNNING
    mode: Mode
    started_at: float
    step: int = 0
    """Position in the plan's steps."""
    exposed: bool = False
    """Whether the candidate has had weight: the first step begins once every pod of both versions was read."""
    step_started_at: float
    paused_at: float | None = None
    paused_seconds: float = 0.0
    """In all, the pause that runs left out."""
    weights: Weights
    """What the split route shall have."""
    weights_since: float | None = None
    """When the route was first seen to have them; None: it was not yet."""
    verdict: VerdictState = Field(default_factory=VerdictState)
    looks: int = 0
    """Taken with all data."""
    drift: float | None = None
    """PSI of the candidate's predictions at the last look, if the plan asks for it and there was one."""
    missing: str | None = None
    """Why the last look could not be taken."""
    absent_since: float | None = None
    """First of the looks on end, seconds since 1970, that found no pod of the candidate up and all of the champion."""
    metrics: dict[str, MetricState]
    """By label; `errors` and `latency` are there as guardrails where the plan does not have them."""
    sample_ratio: SampleRatioState
    classes: dict[str, ClassState] = Field(default_factory=dict)
    counters: dict[str, PodState] = Field(default_factory=dict)
    """By pod of the servers."""
    proxies: dict[str, PodState] = Field(default_factory=dict)
    """By pod of the gateway."""
    route: str = ""
    """sha256 of the `route.json` that the route has; a version that it lacks gets no request any more."""
    history: list[Entry] = Field(default_factory=list)
    announced: int = 0
    """Number of the last entry whose Kubernetes Event exists."""
    command: str = ""
    """Id of the last command that was carried out or refused."""
    series: list[Point] = Field(default_factory=list)
    previous: list[Ended] = Field(default_factory=list)

    def record(self, at: float, event: str, reason: str) -> None:
        """Add a line to the history; the oldest of too many is dropped."""
        number = self.history[-1].number + 1 if self.history else self.announced + 1
        evidence = {label: metric.evidence for label, metric in self.metrics.items()}
        entry = Entry(number=number, at=at, event=event, weights=dict(self.weights), reason=reason, evidence=evidence)
        self.history = [*self.history, entry][-MAXIMUM_HISTORY:]

    def plot(self, at: float) -> None:
        """Add a point; of too many every other one is dropped."""
        evidence = {label: float(f"{metric.evidence:.4g}") for label, metric in self.metrics.items()}
        effect = {
            label: (round(metric.effect[0], 5), round(metric.effect[1], 5)) for label, metric in self.metrics.items()
        }
        if len(self.series) >= MAXIMUM_POINTS:
            self.series = self.series[::2]
        self.series.append(Point(at=at, weights=dict(self.weights), evidence=evidence, effect=effect))

    def seconds(self, now: float) -> float:
        """Since the experiment began, without its pauses."""
        paused = self.paused_seconds + (now - self.paused_at if self.paused_at is not None else 0.0)
        return now - self.started_at - paused

    def unannounced(self) -> list[Entry]:
        """Lines of the history that are no Kubernetes Event yet."""
        return [entry for entry in self.history if entry.number > self.announced]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises `ValueError` for another format."""
        return cls.model_validate_json(text)
