"""What the artifact says of itself: inputs and outputs (`signature.json`) and files (`manifest.json`)."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

ClassLabel = StrictBool | StrictInt | StrictStr
"""A class as the training data named it."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Feature(_Document):
    """One input column."""

    name: Annotated[str, Field(min_length=1)]
    """The key of the value in a request."""
    dtype: Literal["float32"]
    """Type that the model computes in; requests carry any JSON number that fits."""
    minimum: float
    """Smallest value in the training rows, informative: requests may go beyond."""
    maximum: float
    """Largest value in the training rows, informative: requests may go beyond."""


class OnnxNames(_Document):
    """Names of the tensors in the ONNX graph."""

    input: str
    """The `[rows, features]` tensor, features in the order of the signature."""
    prediction: str
    """Class index per row (classification) or value per row (regression)."""
    probability: str | None
    """The `[rows, classes]` tensor; null for regression."""


class Signature(_Document):
    """Inputs and outputs of a model, in the order of its tensors."""

    format: Literal[1]
    """Version of this document's shape."""
    task: Literal["classification", "regression"]
    """What the model answers."""
    target: str
    """Name of the predicted column."""
    features: Annotated[tuple[Feature, ...], Field(min_length=1)]
    """Input columns in the model's order."""
    classes: tuple[ClassLabel, ...] | None
    """Classes in the order of `probability`; null for regression."""
    onnx: OnnxNames
    """Names of the tensors."""

    @model_validator(mode="after")
    def _fits_together(self) -> "Signature":
        names = [feature.name for feature in self.features]
        if len(set(names)) != len(names):
            raise ValueError("two features have the same name")
        if "rows" in names:
            raise ValueError("a feature is named 'rows', which a request uses for many rows at once")
        if self.task == "classification":
            if self.classes is None or len(self.classes) < 2 or self.onnx.probability is None:
                raise ValueError("a classification needs at least two classes and a probability tensor")
        elif self.classes is not None or self.onnx.probability is not None:
            raise ValueError("a regression has neither classes nor a probability tensor")
        return self


class FileRecord(_Document):
    """What a file must be."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Digest of the content."""
    bytes: Annotated[int, Field(ge=0)]
    """Size of the content."""


class Manifest(_Document):
    """The files of an artifact and where they come from."""

    format: Literal[1]
    """Version of this document's shape."""
    name: str
    """Name of the model."""
    version: str
    """Name of the version."""
    files: dict[str, FileRecord]
    """Every other file of the artifact."""
    provenance: dict[str, str]
    """Digests of the data and versions of the libraries that made the model."""
