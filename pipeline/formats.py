"""The formats that a model can be packaged in: how each is written, run again and described to the server."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline import convert, native
from pipeline.data import Matrix
from pipeline.store import Facts, Outputs, TrainedModel
from tools.problem import Problem, ProblemError

DEFAULT = "onnx"


@dataclass(frozen=True)
class Format:
    """One way to package a model."""

    name: str
    """As in `--format`, and as the signature says it."""
    file: str
    """Name of the model file."""
    libraries: frozenset[str]
    """Packages whose estimators it can hold."""
    write: Callable[[TrainedModel], bytes]
    """The model file."""
    run: Callable[[bytes, Matrix, Facts], Outputs]
    """What the model file answers."""
    mapping: Callable[[TrainedModel, bytes], dict[str, Any]]
    """What the signature says of the model file besides its format."""
    requirements: str
    """File with what its image installs."""


def _nothing(_model: TrainedModel, _content: bytes) -> dict[str, Any]:
    return {}


def _tensors(model: TrainedModel, _content: bytes) -> dict[str, Any]:
    prediction, probability = convert.output_names(model.facts)
    return {"input": convert.INPUT, "prediction": prediction, "probability": probability}


def _trusted(_model: TrainedModel, content: bytes) -> dict[str, Any]:
    return {"trusted": native.skops_types(content)}


_SKLEARN = frozenset({"sklearn"})
FORMATS = {
    entry.name: entry
    for entry in (
        Format("onnx", "model.onnx", _SKLEARN, convert.to_onnx, convert.run_onnx, _tensors, "requirements.txt"),
        Format(
            "xgboost",
            "model.json",
            frozenset({"xgboost"}),
            native.write_xgboost,
            native.run_xgboost,
            _nothing,
            "requirements-xgboost.txt",
        ),
        Format(
            "lightgbm",
            "model.txt",
            frozenset({"lightgbm"}),
            native.write_lightgbm,
            native.run_lightgbm,
            _nothing,
            "requirements-lightgbm.txt",
        ),
        Format(
            "skops",
            "model.skops",
            _SKLEARN,
            native.write_skops,
            native.run_skops,
            _trusted,
            "requirements-sklearn.txt",
        ),
        Format(
            "pickle",
            "model.pickle",
            _SKLEARN,
            native.write_pickle,
            native.run_pickle,
            _nothing,
            "requirements-sklearn.txt",
        ),
    )
}
ALTERNATIVES = {"sklearn": "skops", "xgboost": "xgboost", "lightgbm": "lightgbm"}
"""By the package of an estimator the format that holds it when ONNX does not."""


def find(name: str) -> Format:
    """The format of this name; raises `ProblemError`."""
    if name not in FORMATS:
        allowed = " or ".join(FORMATS)
        raise ProblemError([Problem("--format", "is unknown", repr(name), allowed, "correct the option")])
    return FORMATS[name]


def write(model: TrainedModel, wanted: Format) -> bytes:
    """The model file; raises `ProblemError` that names another format when `wanted` cannot hold the model."""
    library = type(model.estimator).__module__.partition(".")[0]
    reason = f"a {model.facts.family} model of {library}"
    if library in wanted.libraries:
        try:
            return wanted.write(model)
        except Exception as error:
            if wanted.name != DEFAULT:
                raise
            reason = f"{reason} ({type(error).__name__})"
    allowed, fix = (
        f"models of {', '.join(sorted(wanted.libraries))} that convert",
        f"use --format {ALTERNATIVES[library]}",
    )
    raise ProblemError([Problem(f"--format {wanted.name}", "does not hold this model", reason, allowed, fix)])
