"""What an experiment is to decide, and by which rules: the document that the deployment writes and the judge reads."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rollout_judge.rate import rate_bounds


class Mode(StrEnum):
    """What the judge may do."""

    OBSERVE = "observe"
    """Report only."""
    GUARD = "guard"
    """Roll back; steps and the promotion are somebody's command."""
    AUTOMATIC = "automatic"
    """Roll back, step forward and promote."""


class Kind(StrEnum):
    """What a metric counts; always the share of trials in which something bad happened."""

    ERRORS = "errors"
    """Split requests that were answered with 5xx, or by no pod."""
    LATENCY = "latency"
    """Split requests that took longer than `threshold_seconds`."""
    ACCURACY = "accuracy"
    """Predictions whose truth, known by feedback, was another class."""
    OUTCOME = "outcome"
    """Feedback whose outcome `name`, 0 or 1, was 0: no conversion."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Metric(_Document):
    """One thing in which the candidate must not be worse."""

    kind: Kind
    margin: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """How much larger the candidate's share may be for a promotion, absolute: 0.01 is one request in a hundred."""
    threshold_seconds: Annotated[float, Field(gt=0)] | None = None
    """Of `latency`: an answer that takes longer is slow."""
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")] | None = None
    """Of `outcome`."""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if (self.kind is Kind.LATENCY) != (self.threshold_seconds is not None):
            raise ValueError("threshold_seconds belongs to latency, and only there")
        if (self.kind is Kind.OUTCOME) != (self.name is not None):
            raise ValueError("name belongs to outcome, and only there")
        return self

    @property
    def label(self) -> str:
        """Its name in reports, metrics and the state."""
        return f"{self.kind}:{self.name}" if self.name else str(self.kind)


class Plan(_Document):
    """One experiment."""

    model: str
    champion: str
    candidate: str
    experiment: str
    """Id: another one starts anew."""
    mode: Mode = Mode.OBSERVE
    steps: Annotated[tuple[Annotated[int, Field(ge=1, le=100)], ...], Field(min_length=2, max_length=20)] = (
        1, 10, 50, 100,
    )  # fmt: skip
    """Weights of the candidate in percent, ascending; the last, 100, is the promotion."""
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1, max_length=10)]
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.01
    """Probability that an equal candidate is ever rolled back, and that a worse one (by the margin) is promoted."""
    shift_ratio: Annotated[float, Field(gt=1)] = 3.0
    """A class whose odds differ between the versions by more than this factor is a shift of the predictions."""
    slow_seconds: Annotated[float, Field(gt=0)] = 0.1
    """An answer that takes longer is slow: guardrail of the latency where no metric has a threshold of its own."""
    sticky: bool = False
    """Whether users keep their version, so that each counts once: users that a step moves are new to the candidate."""
    minimum_trials: Annotated[int, Field(ge=1)] = 500
    """Of each metric and version in a step, before the next."""
    step_seconds: Annotated[float, Field(ge=0)] = 60.0
    """Shortest time in a step."""
    maximum_seconds: Annotated[float, Field(gt=0)] = 86_400.0
    """Longest time in all: an experiment that is undecided then is rolled back."""
    warmup_seconds: Annotated[float, Field(ge=0)] = 30.0
    """What a pod counts in its first seconds is compared with nothing."""
    expected_requests_per_second: Annotated[float, Field(gt=0)] | None = None
    """Requests (users, where they are sticky) of the split in all: known, the horizon is checked against the sample."""
    drift_psi: Annotated[float, Field(gt=0)] | None = None
    """Largest PSI of the candidate's predictions, against those on its held-out rows, with which it goes on; None: any.
    Rows that changed for both versions are no harm of the candidate, so more of it holds and does not roll back."""
    drift_window: Annotated[str, Field(pattern="^1[hd]$")] | None = None
    """Of which rows that is; with `drift_psi`."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if list(self.steps) != sorted(set(self.steps)) or self.steps[-1] != 100:
            raise ValueError("steps should ascend and end with 100")
        if self.champion == self.candidate:
            raise ValueError("champion and candidate should be two versions")
        labels = [metric.label for metric in self.metrics]
        if len(labels) != len(set(labels)):
            raise ValueError("a metric occurs twice")
        if (self.drift_psi is None) != (self.drift_window is None):
            raise ValueError("drift_psi and drift_window belong together")
        if self.maximum_seconds < self.step_seconds * len(self.steps):
            raise ValueError("maximum_seconds should be enough for all steps")
        if self.expected_requests_per_second and self.maximum_seconds < (least := self._least_seconds()):
            raise ValueError(
                f"maximum_seconds should be enough for the smallest sample: got {self.maximum_seconds:g}, allowed from "
                f"{least:.0f} on at {self.expected_requests_per_second:g} requests per second"
            )
        return self

    @property
    def slow_threshold_seconds(self) -> float:
        """An answer that takes longer is slow; the server's `MODELWAY_SLOW_SECONDS`."""
        return next((m.threshold_seconds for m in self.metrics if m.threshold_seconds is not None), self.slow_seconds)

    @property
    def tests(self) -> tuple[str, ...]:
        """Labels of all that can roll back by being worse: the metrics, and errors and latency even beside them."""
        return tuple(dict.fromkeys([*(metric.label for metric in self.metrics), Kind.ERRORS.value, Kind.LATENCY.value]))

    @property
    def test_alpha(self) -> float:
        """Share of `alpha` of each of `tests`, of the sample ratio and of the shift of predictions (Bonferroni)."""
        return self.alpha / (len(self.tests) + 2)

    def _least_seconds(self) -> float:
        """Shortest time to a promotion: every step has its sample, and the last one what the narrowest margin needs."""
        rate = self.expected_requests_per_second or 0.0
        needed = [self.minimum_trials] * (len(self.steps) - 1)
        needed[-1] = max(needed[-1], least_trials(min(metric.margin for metric in self.metrics), self.alpha))
        return sum(
            max(self.step_seconds, trials * 100 / (rate * min(weight, 100 - weight)))
            for weight, trials in zip(self.steps, needed, strict=False)
        )


def least_trials(margin: float, alpha: float) -> int:
    """Fewest trials without any event, in either version, after which the candidate is within `margin`."""
    low, high = 0, 1
    while rate_bounds(0, high, alpha / 2)[1] > margin:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if rate_bounds(0, middle, alpha / 2)[1] <= margin else (middle, high)
    return high
