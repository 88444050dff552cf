"""Proves that a packaged model predicts what the trained one does."""

import numpy as np
from numpy.typing import NDArray

from pipeline.data import Matrix
from pipeline.formats import Format
from pipeline.store import Outputs, TrainedModel
from tools.problem import Problem, ProblemError

TOLERANCE = 1e-5
"""Largest difference of a probability; of a regression's value relative to it where it is above 1."""


def check(model: TrainedModel, packaging: Format, content: bytes) -> float:
    """Largest difference between the trained model and its packaged `content` on the held-out rows.

    Raises `ProblemError` that names the worst row, the feature that the disagreement hangs on, and both values.
    """
    rows = model.held_out_rows
    difference, wrong = _differences(model, packaging, content, rows)
    if not wrong.any():
        return float(difference.max())
    row = int(np.where(wrong, difference, -1.0).argmax())
    feature = _culprit(model, packaging, content, row)
    original, converted = (_shown(answer) for answer in _both(model, packaging, content, rows[row : row + 1]))
    name = model.facts.features[feature]
    raise ProblemError(
        [
            Problem(
                f"held-out row {row + 1}, feature {name!r} = {float(rows[row, feature])!r}",
                f"the packaged and the trained model disagree ({int(wrong.sum())} of {len(rows)} rows do)",
                f"{converted} as {packaging.name} and {original} as trained",
                f"equal classes and values within {TOLERANCE:g}",
                "scale or round that feature, or choose another --family or --format",
            )
        ]
    )


def _both(model: TrainedModel, packaging: Format, content: bytes, rows: Matrix) -> tuple[Outputs, Outputs]:
    return (model.predict(rows), model.probability(rows)), packaging.run(content, rows, model.facts)


def _differences(
    model: TrainedModel, packaging: Format, content: bytes, rows: Matrix
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Per row the largest difference, and whether it is too large."""
    (prediction, probability), (other, other_probability) = _both(model, packaging, content, rows)
    if probability is None or other_probability is None:
        scale = np.maximum(1.0, np.abs(prediction))
        difference = np.abs(prediction - other) / scale
        different = np.zeros(len(rows), dtype=bool)
    else:
        difference = np.abs(probability - other_probability).max(axis=1)
        different = prediction != other
    return difference.astype(np.float64), different | ~(difference <= TOLERANCE)


def _culprit(model: TrainedModel, packaging: Format, content: bytes, row: int) -> int:
    """The feature whose replacement by its median in the training rows lessens the row's difference most."""
    features = model.training_rows.shape[1]
    variants = np.tile(model.held_out_rows[row], (features, 1))
    np.fill_diagonal(variants, np.median(model.training_rows, axis=0))
    difference, wrong = _differences(model, packaging, content, variants)
    return int(np.lexsort((difference, wrong))[0])


def _shown(outputs: Outputs) -> str:
    prediction, probability = outputs
    if probability is None:
        return f"{prediction[0]}"
    return f"class {prediction[0]} ({', '.join(f'{value:.7f}' for value in probability[0])})"
