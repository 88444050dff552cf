"""The drift reference of an artifact: read as it was packaged, or refused in a sentence."""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from modelway_server.drift import Reference, read_reference
from modelway_server.signature import FileRecord, Manifest, Signature
from modelway_server.startup import StartupError
from server_testing import write_files


def numbers(edges: Iterable[float], counts: Iterable[int]) -> dict[str, Any]:
    return {"edges": list(edges), "counts": list(counts), "missing": 0}


BINS = numbers([0.5, 1.5], [10, 20, 30])
DOCUMENT = {
    "format": 1,
    "features": {"x": BINS, "code": BINS},
    "prediction": {"classes": ["no", "yes"], "counts": [60, 40, 0]},
}


def artifact(tmp_path: Path, document: Any, classes: Any = ("no", "yes")) -> tuple[Path, Manifest, Signature]:
    write_files(tmp_path, {} if document is None else {"reference.json": json.dumps(document).encode()})
    manifest = Manifest.model_validate_json((tmp_path / "manifest.json").read_bytes())
    features = [dataclasses.make_dataclass("Named", ["name"])(name) for name in ("x", "code")]
    task = "regression" if classes is None else "classification"
    return tmp_path, manifest, Signature.model_construct(task=task, features=features, classes=classes)


def test_the_reference_is_read_from_the_artifact(tmp_path: Path) -> None:
    assert read_reference(*artifact(tmp_path, DOCUMENT)) == Reference.model_validate(DOCUMENT)
    assert read_reference(*artifact(tmp_path / "..", None)) is None


def test_a_reference_that_was_changed_after_packaging_is_refused(tmp_path: Path) -> None:
    directory, manifest, signature = artifact(tmp_path, DOCUMENT)
    changed = FileRecord(sha256="0" * 64, bytes=1)
    other = manifest.model_copy(update={"files": {"reference.json": changed}})
    with pytest.raises(StartupError, match="is not the file that was packaged"):
        read_reference(directory, other, signature)


def change(**changes: Any) -> dict[str, Any]:
    return DOCUMENT | changes


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (change(format=2), "reference.json format: is not as agreed: got Input should be 1"),
        (change(features={"x": BINS}), "reference.json features: is not as agreed: got ['x']"),
        (change(features={"code": BINS, "x": BINS}), "reference.json features: is not as agreed: got ['code', "),
        (change(prediction=BINS), "reference.json prediction: is not as agreed: got another task"),
        (change(features={"x": numbers([1, 1], [1, 1, 1])}), "got Value error, edges should ascend"),
        (change(features={"x": numbers([1], [1])}), "got Value error, edges should ascend, with one count more"),
        (change(features={"x": numbers([], [0])}), "got Value error, there is no row"),
        (change(features={"x": numbers(range(21), [1] * 22)}), "got Tuple should have at most 20 items"),
        (change(prediction={"classes": ["a"], "counts": [1]}), "got Value error, there should be one count more"),
    ],
)
def test_a_reference_that_does_not_fit_is_refused_in_a_sentence(tmp_path: Path, document: Any, sentence: str) -> None:
    with pytest.raises(StartupError) as caught:
        read_reference(*artifact(tmp_path, document))
    assert sentence in str(caught.value)
    assert str(caught.value).endswith("; package the model again.")
