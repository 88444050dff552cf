import asyncio
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from modelway_server.main import create_service
from modelway_server.settings import load
from modelway_server.startup import StartupError
from onnx import TensorProto, helper
from prometheus_client import generate_latest
from server_testing import CLASSES, NAMES, classifier, regressor, start, write_artifact, write_files


def refusal(directory: Path) -> str:
    with pytest.raises(StartupError) as caught:
        create_service(load({"MODELWAY_MODEL_DIR": str(directory)}))
    (reason,) = caught.value.reasons
    return reason


def signature_of(directory: Path) -> bytes:
    return (directory / "signature.json").read_bytes()


def test_a_missing_artifact_is_one_sentence(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        f"{tmp_path}/manifest.json: cannot be read: got no such file or directory, allowed a readable file; "
        "check MODELWAY_MODEL_DIR or package the model again."
    )


def test_a_missing_model_file_is_one_sentence(tmp_path: Path) -> None:
    (write_artifact(tmp_path) / "model.onnx").unlink()
    assert refusal(tmp_path) == (
        f"{tmp_path}/model.onnx: cannot be read: got no such file or directory, allowed a readable file; "
        "check MODELWAY_MODEL_DIR or package the model again."
    )


def test_a_directory_in_place_of_the_model_is_refused(tmp_path: Path) -> None:
    file = write_artifact(tmp_path) / "model.onnx"
    file.unlink()
    file.mkdir()
    assert "cannot be read: got is a directory" in refusal(tmp_path)


def test_an_altered_model_is_never_opened(tmp_path: Path) -> None:
    write_artifact(tmp_path)
    (tmp_path / "model.onnx").write_bytes(regressor())
    reason = refusal(tmp_path)
    assert reason.startswith(f"{tmp_path}/model.onnx: is not the file that was packaged: got sha256 ")
    assert reason.endswith("; package the model again.")


def test_a_link_out_of_the_artifact_is_refused(tmp_path: Path) -> None:
    outside = tmp_path / "outside.onnx"
    outside.write_bytes(classifier())
    artifact = write_artifact(tmp_path / "artifact")
    (artifact / "model.onnx").unlink()
    (artifact / "model.onnx").symlink_to(outside)
    assert "leads out of the artifact" in refusal(artifact)


class Hostile:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (Path.touch, (self.marker,))


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "an empty file"),
        (b"PK\x03\x04", "a broken zip archive"),
        (b"\x1f\x8b\x08", "a compressed file"),
        (b"\x89HDF\r\n", "an HDF5 file (Keras), which can run any code"),
        (b"<html>", "an unknown format"),
        (b'{"learner": {}}', "an XGBoost model as JSON"),
    ],
)
def test_a_file_that_is_no_onnx_is_refused_by_name(tmp_path: Path, content: bytes, kind: str) -> None:
    signature = signature_of(write_artifact(tmp_path))
    write_files(tmp_path, {"model.onnx": content, "signature.json": signature})
    assert refusal(tmp_path) == (
        f"model.onnx: is not an ONNX model: got {kind}, allowed an ONNX model; package the model again."
    )


def test_a_pickle_is_refused_without_running_it(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    signature = signature_of(write_artifact(tmp_path))
    write_files(tmp_path, {"model.onnx": pickle.dumps(Hostile(marker)), "signature.json": signature})
    assert "got a pickle, which can run any code, allowed an ONNX model" in refusal(tmp_path)
    assert not marker.exists()


def test_a_truncated_model_is_refused(tmp_path: Path) -> None:
    signature = signature_of(write_artifact(tmp_path))
    write_files(tmp_path, {"model.onnx": classifier()[:100], "signature.json": signature})
    assert refusal(tmp_path).startswith("model.onnx: cannot be opened: got ")


def test_a_model_that_does_not_fit_its_signature_is_refused(tmp_path: Path) -> None:
    write_artifact(tmp_path)
    features = [{"name": "one", "dtype": "float32", "minimum": 0.0, "maximum": 1.0}]
    write_artifact(tmp_path, features=features)
    assert refusal(tmp_path) == (
        "model.onnx: input does not fit the signature: got features tensor(float) [None, 3], "
        "allowed one input features tensor(float) [rows, 1]; package the model again."
    )


def test_classes_that_the_model_does_not_have_are_refused(tmp_path: Path) -> None:
    write_artifact(tmp_path, content=rarely([0, 1, 1], constant=False), classes=["a", "b"])
    assert refusal(tmp_path) == (
        "model.onnx: answers something else than its signature says: got [1] classes and [1, 3] probabilities "
        "for 1 rows and 2 classes, allowed one answer per row and class; package the model again."
    )


def rarely(labels: list[int], constant: bool) -> bytes:
    """The classifier with other class indices; the third class wins only where the third feature is the largest."""
    model = onnx.load_from_string(classifier())
    (node,) = model.graph.node
    if not constant:
        next(part for part in node.attribute if part.name == "classlabels_ints").ints[:] = labels
    else:
        # As converters write classes that are looked up by position.
        node.output[0] = "position"
        table = helper.make_tensor("table", TensorProto.INT64, [len(labels)], labels)
        model.graph.initializer.append(table)
        found = helper.make_node("ArrayFeatureExtractor", ["table", "position"], ["found"], domain="ai.onnx.ml")
        shape = helper.make_tensor("shape", TensorProto.INT64, [1], [-1])
        model.graph.initializer.append(shape)
        model.graph.node.extend([found, helper.make_node("Reshape", ["found", "shape"], ["label"])])
    content: bytes = model.SerializeToString()
    return content


RARE = [
    {"name": name, "dtype": "float32", "minimum": low, "maximum": low + 1.0}
    for name, low in zip(NAMES, (0.0, 0.0, -9.0), strict=True)
]
"""Ranges in which the third class never wins: the warm-up does not meet it."""


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("label", [7, -1])
def test_a_class_that_no_warm_up_meets_must_be_declared_all_the_same(
    tmp_path: Path, constant: bool, label: int
) -> None:
    write_artifact(tmp_path, content=rarely([0, 1, label], constant), features=RARE)
    assert refusal(tmp_path) == (
        f"model.onnx: answers something else than its signature says: got class {label} of 3, "
        "allowed one answer per row and class; package the model again."
    )


@pytest.mark.parametrize("constant", [False, True])
def test_a_class_that_the_warm_up_did_not_meet_is_predicted(tmp_path: Path, constant: bool) -> None:
    service = start(write_artifact(tmp_path, content=rarely([0, 1, 2], constant), features=RARE))
    for number, label in enumerate(CLASSES):
        rows = np.zeros((1, 3), dtype=np.float32)
        rows[0, number] = 100.0
        assert asyncio.run(service.predict(rows)).prediction == [label]
    service.keep_up()
    text = generate_latest(service.metrics.registry).decode()
    for label in CLASSES:
        assert f'modelway_predictions_total{{model="sample",prediction="{label}",version="v1"}} 1.0' in text


def test_outputs_that_the_model_does_not_have_are_refused(tmp_path: Path) -> None:
    names = {"format": "onnx", "input": "features", "prediction": "label", "probability": "scores"}
    write_artifact(tmp_path, model=names)
    assert "outputs do not fit the signature" in refusal(tmp_path)


def test_a_signature_of_another_format_is_refused(tmp_path: Path) -> None:
    write_artifact(tmp_path, format=1)
    assert refusal(tmp_path) == (
        "signature.json format: is not as agreed: got Input should be 2, allowed format 2; package the model again."
    )


def test_a_feature_named_rows_is_refused(tmp_path: Path) -> None:
    features = [{"name": name, "dtype": "float32", "minimum": 0.0, "maximum": 1.0} for name in ("a", "b", "rows")]
    write_artifact(tmp_path, features=features)
    assert "a feature is named 'rows'" in refusal(tmp_path)


def test_a_file_that_the_manifest_does_not_list_is_refused(tmp_path: Path) -> None:
    write_artifact(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    del manifest["files"]["model.onnx"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert refusal(tmp_path) == (
        f"{tmp_path}/manifest.json: does not list a file: got no 'model.onnx', allowed its sha256; "
        "package the model again."
    )
