"""Converts a trained model to ONNX, and runs what came out."""

import numpy as np

from pipeline.data import Matrix
from pipeline.store import Facts, Outputs, TrainedModel

INPUT = "features"
# Pinned: the newest operators that a converter knows change from release to release, and with them the bytes.
OPERATORS = {"": 18, "ai.onnx.ml": 3}


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
