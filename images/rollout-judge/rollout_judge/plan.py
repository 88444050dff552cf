"""What an experiment is to decide, and by which rules: the document that the deployment writes and the judge reads."""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Mode(StrEnum):
    """What the judge may do."""

    OBSERVE = "observe"
    """Report only."""
    GUARD = "guard"
    """Roll back, never promote."""
    AUTOMATIC = "automatic"
    """Roll back and promote."""


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
    """Of `latency`: an upper edge of the server's histogram."""
    name: str | None = None
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
    steps: Annotated[tuple[Annotated[int, Field(ge=1, le=100)], ...], Field(min_length=1, max_length=20)] = (
        1, 10, 50, 100,
    )  # fmt: skip
    """Weights of the candidate in percent, ascending; the last, 100, is the promotion."""
    metrics: Annotated[tuple[Metric, ...], Field(min_length=1, max_length=10)]
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.01
    """Probability that an equal candidate is ever rolled back, and that a worse one (by the margin) is promoted."""
    shift_ratio: Annotated[float, Field(gt=1)] = 3.0
    """A class whose odds differ between the versions by more than this factor is a shift of the predictions."""
    minimum_trials: Annotated[int, Field(ge=1)] = 500
    """Of each metric and version in a step, before the next."""
    step_seconds: Annotated[float, Field(ge=0)] = 60.0
    """Shortest time in a step."""
    maximum_seconds: Annotated[float, Field(gt=0)] = 86_400.0
    """Longest time in all: an experiment that is undecided then is rolled back."""
    warmup_seconds: Annotated[float, Field(ge=0)] = 30.0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if list(self.steps) != sorted(set(self.steps)) or self.steps[-1] != 100:
            raise ValueError("steps should ascend and end with 100")
        if self.champion == self.candidate:
            raise ValueError("champion and candidate should be two versions")
        labels = [metric.label for metric in self.metrics]
        if len(labels) != len(set(labels)):
            raise ValueError("a metric occurs twice")
        if self.maximum_seconds < self.step_seconds * len(self.steps):
            raise ValueError("maximum_seconds should be enough for all steps")
        return self
