"""Opens an artifact, after checking that its files are what its manifest says, and predicts with it."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from modelway_server.signature import ClassLabel, Manifest, Signature
from modelway_server.startup import StartupError, sentence

MODEL, SIGNATURE, MANIFEST = "model.onnx", "signature.json", "manifest.json"
REBUILD = "package the model again"

Rows = NDArray[np.float32]
Prediction = ClassLabel | float
Document = TypeVar("Document", bound=BaseModel)

_KINDS = (
    (b"PK", "a zip archive (PyTorch, skops, Keras)"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x89HDF", "an HDF5 file (Keras)"),
    (b"\x80", "a pickle, which can run any code"),
    (b"{", "JSON"),
)


@dataclass(frozen=True)
class Output:
    """Predictions of some rows, one entry per row."""

    prediction: Sequence[Prediction]
    """Class, or value of a regression."""
    probability: Sequence[Sequence[float]] | None
    """Per row one probability per class in the signature's order; None for regression."""


class NonFiniteError(Exception):
    """The model gave NaN or infinity for finite input."""


class Model:
    """One ONNX model in memory. Thread-safe."""

    def __init__(self, content: bytes, signature: Signature, manifest: Manifest) -> None:
        self.signature = signature
        self.manifest = manifest
        self.digest = manifest.files[MODEL].sha256
        self._names = signature.onnx
        self._outputs = [name for name in (self._names.prediction, self._names.probability) if name]
        self._session = _open(content)
        _check_tensors(self._session, signature)

    def predict(self, rows: Rows) -> Output:
        """Predict `rows` of shape `[rows, features]`; raises `NonFiniteError` when an answer is not a number."""
        answers = self._session.run(self._outputs, {self._names.input: rows})
        if self.signature.classes is None:
            values = np.asarray(answers[0], dtype=np.float32).reshape(-1)
            _check_finite(values)
            return Output(prediction=values.tolist(), probability=None)
        probability = np.asarray(answers[1])
        _check_finite(probability)
        classes = self.signature.classes
        return Output(prediction=[classes[index] for index in answers[0].tolist()], probability=probability.tolist())

    def warm_up(self, rows: int) -> float:
        """Predict once with `rows` rows, check the answer's shape, and return the seconds of a second run."""
        middle = [(feature.minimum + feature.maximum) / 2 for feature in self.signature.features]
        batch = np.tile(np.asarray(middle, dtype=np.float32), (rows, 1))
        output = self.predict(batch)
        classes = self.signature.classes
        if output.probability is not None and classes is not None and len(output.probability[0]) != len(classes):
            raise StartupError(
                sentence(
                    SIGNATURE,
                    "classes do not fit the model",
                    f"{len(classes)} classes",
                    f"the {len(output.probability[0])} that the model gives probabilities for",
                    REBUILD,
                )
            )
        started = time.perf_counter()
        self.predict(batch)
        return time.perf_counter() - started


def load(directory: Path) -> Model:
    """Open the artifact in `directory`; raises `StartupError` when a file is missing, altered or not what it says."""
    manifest = _parse(Manifest, MANIFEST, _read(directory, MANIFEST))
    signature = _parse(Signature, SIGNATURE, _verified(directory, SIGNATURE, manifest))
    content = _verified(directory, MODEL, manifest)
    _sniff(content)
    return Model(content, signature, manifest)


def _read(directory: Path, name: str) -> bytes:
    path = directory / name
    try:
        if not path.resolve().is_relative_to(directory.resolve()):
            raise StartupError(
                sentence(str(path), "leads out of the artifact", str(path.resolve()), f"a file in {directory}", REBUILD)
            )
        return path.read_bytes()
    except OSError as error:
        found = (error.strerror or type(error).__name__).lower()
        raise StartupError(
            sentence(str(path), "cannot be read", found, "a readable file", "check MODELWAY_MODEL_DIR or " + REBUILD)
        ) from None


def _verified(directory: Path, name: str, manifest: Manifest) -> bytes:
    record = manifest.files.get(name)
    if record is None:
        raise StartupError(
            sentence(str(directory / MANIFEST), "does not list a file", f"no {name!r}", "its sha256", REBUILD)
        )
    content = _read(directory, name)
    digest = hashlib.sha256(content).hexdigest()
    if digest != record.sha256:
        raise StartupError(
            sentence(
                str(directory / name),
                "is not the file that was packaged",
                f"sha256 {digest}",
                f"sha256 {record.sha256}",
                REBUILD,
            )
        )
    return content


def _parse(kind: type[Document], name: str, content: bytes) -> Document:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise StartupError(
            sentence(f"{name} {where}".strip(), "is not as agreed", first["msg"], "format 1", REBUILD)
        ) from None


def _sniff(content: bytes) -> None:
    # An ONNX file is a protobuf whose first field is ir_version, a small number.
    if len(content) > 2 and content[0] == 0x08 and content[1] < 0x20:
        return
    kind = "an empty file" if not content else "an unknown format"
    kind = next((name for magic, name in _KINDS if content.startswith(magic)), kind)
    raise StartupError(sentence(MODEL, "is no ONNX model", kind, "ONNX", REBUILD))


def _open(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # ONNX Runtime sizes its threads by the host, not by the container's share, and lets them spin.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        # From memory: the bytes that were checked are the bytes that are opened, and no other file is followed.
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise StartupError(
            sentence(MODEL, "cannot be opened", str(error).splitlines()[0], "a complete ONNX model", REBUILD)
        ) from None


def _check_tensors(session: onnxruntime.InferenceSession, signature: Signature) -> None:
    inputs = {tensor.name: tensor for tensor in session.get_inputs()}
    width = len(signature.features)
    names = signature.onnx
    given = inputs.get(names.input)
    if len(inputs) != 1 or given is None or given.type != "tensor(float)" or given.shape[1:] != [width]:
        found = ", ".join(f"{tensor.name} {tensor.type} {tensor.shape}" for tensor in inputs.values())
        expected = f"one input {names.input} tensor(float) [rows, {width}]"
        raise StartupError(sentence(MODEL, "input does not fit the signature", found, expected, REBUILD))
    outputs = {tensor.name for tensor in session.get_outputs()}
    missing = {name for name in (names.prediction, names.probability) if name} - outputs
    if missing:
        raise StartupError(
            sentence(MODEL, "outputs do not fit the signature", f"{sorted(outputs)}", f"{sorted(missing)} too", REBUILD)
        )


def _check_finite(values: NDArray[np.floating]) -> None:
    if not np.isfinite(values).all():
        raise NonFiniteError("the model gave NaN or infinity")
