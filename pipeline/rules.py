"""The gate's pass and fail rules: a YAML file, or the options of `evaluate`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from pipeline import gate
from tools.problem import Problem, ProblemError

SLICE_MARGIN = 0.05
MINIMUM_SLICE_ROWS = 20


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, validate_by_name=True)


class FeatureSlices(_Part):
    """Slices by the values of one feature."""

    feature: str
    """Name of the feature."""
    edges: Annotated[tuple[float, ...], Field(max_length=20)] = ()
    """Where the feature is cut, in rising order: two edges make three slices; an edge belongs to the slice above it."""
    values: Annotated[tuple[float, ...], Field(max_length=20)] = ()
    """Values that are a slice each."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.edges) == bool(self.values):
            raise ValueError("edges or values, one of the two")
        if list(self.edges) != sorted(set(self.edges)):
            raise ValueError("edges in rising order")
        return self


class SliceRules(_Part):
    """Parts of the held-out rows that are compared one by one as well."""

    by_class: bool = False
    """Whether the rows of each true class are a slice."""
    features: tuple[FeatureSlices, ...] = ()
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] = SLICE_MARGIN
    """How much worse a candidate may be in a slice; for MAE a share of the champion's."""
    minimum_rows: Annotated[int, Field(ge=1)] = MINIMUM_SLICE_ROWS
    """A slice of fewer rows is reported and not judged."""


class CalibrationRules(_Part):
    """How far probabilities may be from what came true."""

    maximum_error: Annotated[float, Field(gt=0, lt=1)]
    """The expected calibration error whose 95 % interval must not lie wholly above this."""


class Rules(_Part):
    """What a candidate is judged by."""

    metric: str | None = None
    """Decides against the champion; f1 for classification and mae for regression unless set."""
    margin: Annotated[float, Field(ge=0, allow_inf_nan=False)] = gate.MARGIN
    """How much worse a candidate may be; for MAE a share of the champion's."""
    floors: dict[str, float] = Field(default_factory=dict)
    """Values that must be reached, by metric; for `mae` one that must not be exceeded."""
    slices: SliceRules = SliceRules()
    calibration: CalibrationRules | None = None
    """Only for classification."""

    def document(self) -> dict[str, Any]:
        """The rules as plain data, as they would stand in a file."""
        return self.model_dump(mode="json", by_alias=True)


def read(file: Path | None, changes: Mapping[str, Any]) -> Rules:
    """The rules of `file`, with the `changes` of options over them; raises `ProblemError` with everything wrong."""
    content: Any = {}
    if file is not None:
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except (OSError, UnicodeError, yaml.YAMLError) as error:
            raise _refused(str(file), (str(error).splitlines() or ["unreadable"])[0]) from None
        if not isinstance(content, dict):
            raise _refused(str(file), "no map")
    where = "options" if file is None else str(file)
    try:
        return Rules.model_validate({**content, **changes})
    except ValidationError as error:
        problems = [
            Problem(
                " ".join([where, ".".join(str(part) for part in found["loc"])]).strip(),
                "is no rule of the gate",
                repr(found["input"]),
                found["msg"].removeprefix("Value error, "),
                "correct it as docs/evaluation.md says",
            )
            for found in error.errors(include_url=False)
        ]
        raise ProblemError(problems) from None


def _refused(where: str, got: str) -> ProblemError:
    fix = "correct it as docs/evaluation.md says"
    return ProblemError([Problem(where, "is no file of rules", got, "a YAML map of rules", fix)])
