"""Converts a trained model to ONNX and proves that both predict the same."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data import Matrix
from pipeline.store import Facts, TrainedModel
from tools.problem import Problem, ProblemError

TOLERANCE = 1e-5
"""Largest difference of a probability; of a regression's value relative to it where it is above 1."""
INPUT = "features"
# Pinned: the newest operators that a converter knows change from release to release, and with them the bytes.
OPERATORS = {"": 18, "ai.onnx.ml": 3}

Outputs = tuple[NDArray[Any], NDArray[Any] | None]


def output_names(facts: Facts) -> tuple[str, str | None]:
    """Names of the ONNX outputs: prediction and probability (None for regression)."""
    return ("variable", None) if facts.classes is None else ("label", "probabilities")


def to_onnx(model: TrainedModel) -> bytes:
    """The ONNX file; the same model gives the same bytes."""
    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType

    estimator = model.estimator
    options = {} if model.facts.classes is None else {id(estimator): {"zipmap": False}}
    converted = skl2onnx.to_onnx(
        estimator,
        name="model",
        initial_types=[(INPUT, FloatTensorType([None, len(model.facts.features)]))],
        options=options,
        target_opset=OPERATORS,
    )
    content: bytes = converted.SerializeToString(deterministic=True)
    return content


def run_onnx(content: bytes, rows: Matrix, facts: Facts) -> Outputs:
    """Prediction and probability of the ONNX file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [name for name in output_names(facts) if name]
    answers = session.run(names, {INPUT: rows})
    if facts.classes is None:
        return np.asarray(answers[0]).reshape(-1), None
    return np.asarray(answers[0]), np.asarray(answers[1])


def check_parity(model: TrainedModel, content: bytes) -> float:
    """Largest difference between scikit-learn and ONNX on the held-out rows.

    Raises `ProblemError` that names the worst row, the feature that the disagreement hangs on, and both values.
    """
    rows = model.held_out_rows
    difference, wrong = _differences(model, content, rows)
    if not wrong.any():
        return float(difference.max())
    row = int(np.where(wrong, difference, -1.0).argmax())
    feature = _culprit(model, content, row)
    original, converted = (_shown(answer) for answer in _both(model, content, rows[row : row + 1]))
    name = model.facts.features[feature]
    raise ProblemError(
        [
            Problem(
                f"held-out row {row + 1}, feature {name!r} = {float(rows[row, feature])!r}",
                f"ONNX and scikit-learn disagree ({int(wrong.sum())} of {len(rows)} rows do)",
                f"{converted} from ONNX and {original} from scikit-learn",
                f"equal classes and values within {TOLERANCE:g}",
                "scale or round that feature, or choose another --family",
            )
        ]
    )


def _both(model: TrainedModel, content: bytes, rows: Matrix) -> tuple[Outputs, Outputs]:
    return (model.predict(rows), model.probability(rows)), run_onnx(content, rows, model.facts)


def _differences(model: TrainedModel, content: bytes, rows: Matrix) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Per row the largest difference, and whether it is too large."""
    (prediction, probability), (other, other_probability) = _both(model, content, rows)
    if probability is None or other_probability is None:
        scale = np.maximum(1.0, np.abs(prediction))
        difference = np.abs(prediction - other) / scale
        different = np.zeros(len(rows), dtype=bool)
    else:
        difference = np.abs(probability - other_probability).max(axis=1)
        different = prediction != other
    return difference.astype(np.float64), different | ~(difference <= TOLERANCE)


def _culprit(model: TrainedModel, content: bytes, row: int) -> int:
    """The feature whose replacement by its median in the training rows lessens the row's difference most."""
    features = model.training_rows.shape[1]
    variants = np.tile(model.held_out_rows[row], (features, 1))
    np.fill_diagonal(variants, np.median(model.training_rows, axis=0))
    difference, wrong = _differences(model, content, variants)
    return int(np.lexsort((difference, wrong))[0])


def _shown(outputs: Outputs) -> str:
    prediction, probability = outputs
    if probability is None:
        return f"{prediction[0]}"
    return f"class {prediction[0]} ({', '.join(f'{value:.7f}' for value in probability[0])})"
