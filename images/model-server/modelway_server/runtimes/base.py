"""One model in memory, whatever opened it: checks what the library gives before anyone sees it."""

import re
import time
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelway_server.artifact import REBUILD
from modelway_server.signature import ClassLabel, Manifest, Signature
from modelway_server.startup import StartupError, sentence

# How ONNX Runtime begins what it has to say.
_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")

Format = Literal["onnx", "xgboost", "lightgbm", "skops", "pickle"]
Rows = NDArray[np.float32]
"""Inputs as `[rows, features]`, features in the order of the signature."""
Prediction = ClassLabel | float

Engine = Callable[[Rows], Sequence[NDArray[np.generic]]]
"""Predicts rows; thread-safe. Class index `[rows]` and probability `[rows, classes]`, or the values `[rows]`."""


class Output(NamedTuple):
    """Predictions of some rows, one entry per row."""

    prediction: Sequence[Prediction]
    """Class, or value of a regression."""
    probability: Sequence[Sequence[float]] | None
    """Per row one probability per class in the signature's order; None for regression."""


class NonFiniteError(Exception):
    """The model gave NaN or infinity for finite input."""

    def __init__(self, rows: tuple[int, ...]) -> None:
        super().__init__(f"the model gave NaN or infinity for row {rows[0]}")
        self.rows = rows
        """Positions of the rows at fault in the input."""


class UndeclaredError(Exception):
    """The model gave a class, or a number of answers, that its signature does not declare."""


class Model:
    """One model in memory. Thread-safe."""

    def __init__(self, engine: Engine, signature: Signature, manifest: Manifest) -> None:
        self.signature = signature
        self.manifest = manifest
        self.format: Format = signature.model.format
        self.digest = manifest.files[signature.model.file].sha256
        """sha256 of the model file, hexadecimal."""
        self._engine = engine
        # A dictionary where a list would take a negative index for a class.
        self._classes = dict(enumerate(signature.classes)) if signature.classes is not None else None

    def predict(self, rows: Rows) -> Output:
        """Predict `rows`; raises `NonFiniteError` or `UndeclaredError` for an answer that cannot be right."""
        answers = self._engine(rows)
        if self._classes is None:
            values = answers[0].reshape(-1)
            if len(values) != len(rows):
                raise UndeclaredError(f"{len(values)} values for {len(rows)} rows")
            _check_finite(values.reshape(-1, 1))
            return Output(values.tolist(), None)
        indices, probability = answers
        if probability.shape != (len(rows), len(self._classes)) or indices.shape != (len(rows),):
            shapes = f"{list(indices.shape)} classes and {list(probability.shape)} probabilities"
            raise UndeclaredError(f"{shapes} for {len(rows)} rows and {len(self._classes)} classes")
        _check_finite(probability)
        try:
            return Output([self._classes[index] for index in indices.tolist()], probability.tolist())
        except KeyError as error:
            raise UndeclaredError(f"class {error.args[0]!r} of {len(self._classes)}") from None

    def warm_up(self, rows: int) -> float:
        """Predict `rows` rows within the training ranges twice; returns the seconds of the second time.

        Raises `StartupError` when the answers are not what the signature says.
        """
        batch = self._within_ranges(rows)
        try:
            self.predict(batch)
        except NonFiniteError as error:
            what, got = "does not answer with numbers", f"NaN or infinity for {len(error.rows)} of {rows} rows"
            allowed, fix = "finite numbers for rows within the training ranges", "train the model again"
            raise StartupError(sentence(self.signature.model.file, what, got, allowed, fix)) from None
        except UndeclaredError as error:
            what, allowed = "answers something else than its signature says", "one answer per row and class"
            raise StartupError(sentence(self.signature.model.file, what, str(error), allowed, REBUILD)) from None
        except Exception as error:
            raise refusal(self.signature.model.file, "cannot predict", error, "an answer per row") from None
        started = time.perf_counter()
        self.predict(batch)
        return time.perf_counter() - started

    def _within_ranges(self, rows: int) -> Rows:
        """Rows spread over the training ranges, the same each time, so that most leaves and classes are met."""
        features = self.signature.features
        lowest = np.asarray([feature.minimum for feature in features], dtype=np.float64)
        highest = np.asarray([feature.maximum for feature in features], dtype=np.float64)
        # Multiples of irrational numbers, modulo 1, fill the unit cube evenly; the first row is its middle.
        steps = np.sqrt(np.arange(len(features)) + 0.5) % 1
        shares = (np.arange(rows)[:, None] * steps + 0.5) % 1
        spread: Rows = (lowest * (1 - shares) + highest * shares).astype(np.float32)
        return spread


def refusal(where: str, what: str, error: Exception, allowed: str) -> StartupError:
    """What a library said, as one sentence of ours: its first line, at most 200 characters."""
    first = next(iter(str(error).strip().splitlines()), "")
    got = _PREFIX.sub("", first)[:200].rstrip(" .:;") or type(error).__name__
    return StartupError(sentence(where, what, got, allowed, REBUILD))


def _check_finite(values: NDArray[np.generic]) -> None:
    """Raise `NonFiniteError` when any of `[rows, values]` is NaN or infinite."""
    finite = np.isfinite(values)
    if not finite.all():
        raise NonFiniteError(tuple(np.flatnonzero(~finite.all(axis=1)).tolist()))
