"""What the artifact says of itself: inputs and outputs (`signature.json`) and files (`manifest.json`)."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, model_validator

FLOAT32_MAX = (2 - 2**-23) * 2.0**127

ClassLabel = StrictBool | StrictInt | StrictStr
"""A class as the training data named it."""


Float32 = Annotated[float, Field(ge=-FLOAT32_MAX, le=FLOAT32_MAX, allow_inf_nan=False)]

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
"""A file in the artifact's folder itself: no path leads out of it."""


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Feature(_Document):
    """One input column."""

    name: Annotated[str, Field(min_length=1)]
    """The key of the value in a request."""
    dtype: Literal["float32"]
    """Type that the model computes in; requests carry any JSON number that fits."""
    minimum: Float32
    """Smallest value in the training rows, informative: requests may go beyond."""
    maximum: Float32
    """Largest value in the training rows, informative: requests may go beyond."""


class OnnxModel(_Document):
    """`model.onnx`, with the names of its tensors."""

    file: ClassVar[str] = "model.onnx"
    format: Literal["onnx"]
    """Read by ONNX Runtime."""
    input: str
    """The `[rows, features]` tensor, features in the order of the signature."""
    prediction: str
    """Class index per row (classification) or value per row (regression)."""
    probability: str | None
    """The `[rows, classes]` tensor; null for regression."""


class XgboostModel(_Document):
    """`model.json`: trees as `Booster.save_model` writes them as JSON; its objective gives what the signature says."""

    file: ClassVar[str] = "model.json"
    format: Literal["xgboost"]
    """Read by XGBoost."""


class LightgbmModel(_Document):
    """`model.txt`: trees as `Booster.save_model` writes them; its objective gives what the signature says."""

    file: ClassVar[str] = "model.txt"
    format: Literal["lightgbm"]
    """Read by LightGBM."""


class SkopsModel(_Document):
    """`model.skops`: a scikit-learn estimator without pickle; it predicts class indices or the classes."""

    file: ClassVar[str] = "model.skops"
    format: Literal["skops"]
    """Read by skops."""
    trusted: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")], ...]
    """Full names of the types in the file that skops does not trust by itself. No wildcards."""


class PickleModel(_Document):
    """`model.pickle`: a scikit-learn estimator as pickle or joblib writes it: opening it can run any code."""

    file: ClassVar[str] = "model.pickle"
    format: Literal["pickle"]
    """Read by joblib, and only where `MODELWAY_ALLOW_PICKLE` is true."""


class Signature(_Document):
    """Inputs and outputs of a model, in the order of its tensors."""

    format: Literal[2]
    """Version of this document's shape."""
    task: Literal["classification", "regression"]
    """What the model answers."""
    target: str
    """Name of the predicted column."""
    features: Annotated[tuple[Feature, ...], Field(min_length=1)]
    """Input columns in the model's order."""
    classes: tuple[ClassLabel, ...] | None
    """Classes in the order of `probability`; null for regression."""
    model: Annotated[OnnxModel | XgboostModel | LightgbmModel | SkopsModel | PickleModel, Field(discriminator="format")]
    """The model file: how it is read and what it gives."""

    @model_validator(mode="after")
    def _fits_together(self) -> "Signature":
        names = [feature.name for feature in self.features]
        if len(set(names)) != len(names):
            raise ValueError("two features have the same name")
        if "rows" in names:
            raise ValueError("a feature is named 'rows', which a request uses for many rows at once")
        if self.task == "classification":
            if self.classes is None or len(set(self.classes)) < max(2, len(self.classes)):
                raise ValueError("a classification needs at least two different classes")
        elif self.classes is not None:
            raise ValueError("a regression has no classes")
        if isinstance(self.model, OnnxModel) and (self.model.probability is None) != (self.classes is None):
            raise ValueError("a classification needs a probability tensor, and a regression has none")
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
    files: dict[FileName, FileRecord]
    """Every other file of the artifact."""
    provenance: dict[str, str]
    """Digests of the data and versions of the libraries that made the model."""
