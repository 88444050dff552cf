"""ONNX models, by ONNX Runtime."""

import onnxruntime

from modelway_server.artifact import REBUILD
from modelway_server.runtimes.base import Engine
from modelway_server.runtimes.onnx_file import check_file
from modelway_server.signature import Manifest, OnnxModel, Signature
from modelway_server.startup import StartupError, sentence


def open_model(content: bytes, signature: Signature, _manifest: Manifest, threads: int) -> Engine:
    """Open an ONNX file; raises `StartupError` when it is unsafe or does not fit the signature."""
    names = signature.model
    if not isinstance(names, OnnxModel):
        raise TypeError("the signature is not that of an ONNX model")
    check_file(names.file, content, names.prediction, len(signature.classes) if signature.classes is not None else None)
    session = _session(content, threads)
    _check_input(session, names, len(signature.features))
    _check_outputs(session, names)
    outputs = [name for name in (names.prediction, names.probability) if name]
    run, features = session.run, names.input
    return lambda rows: run(outputs, {features: rows})


def _session(content: bytes, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # ONNX Runtime sizes its threads by the host, not by the container's share, and lets them spin.
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.log_severity_level = 4
    # From memory: the bytes that were checked are the bytes that are opened.
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _check_input(session: onnxruntime.InferenceSession, names: OnnxModel, width: int) -> None:
    inputs = {tensor.name: tensor for tensor in session.get_inputs()}
    given = inputs.get(names.input)
    # A fixed number of rows would refuse every other number.
    fits = (
        given and given.type == "tensor(float)" and given.shape[1:] == [width] and not isinstance(given.shape[0], int)
    )
    if not fits or len(inputs) != 1:
        found = ", ".join(f"{tensor.name} {tensor.type} {tensor.shape}" for tensor in inputs.values()) or "none"
        expected = f"one input {names.input} tensor(float) [rows, {width}]"
        raise StartupError(sentence(names.file, "input does not fit the signature", found, expected, REBUILD))


def _check_outputs(session: onnxruntime.InferenceSession, names: OnnxModel) -> None:
    found = {tensor.name: tensor.type for tensor in session.get_outputs()}
    wanted = {names.prediction: "tensor(float)"}
    if names.probability is not None:
        wanted = {names.prediction: "tensor(int64)", names.probability: "tensor(float)"}
    if any(found.get(name) != kind for name, kind in wanted.items()):
        got, allowed = (", ".join(f"{name} {kind}" for name, kind in given.items()) for given in (found, wanted))
        raise StartupError(sentence(names.file, "outputs do not fit the signature", got, allowed, REBUILD))
