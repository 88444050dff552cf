"""Artifacts whose files are no files, or files of another kind than they say."""

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from server_testing import classifier, signature, write_artifact

Write = Callable[[Path, Path], object]
Content = bytes | Callable[[Path], bytes]
"""A model file, or what makes one from the path of the marker."""


class Payload:
    """Whoever unpickles it creates the marker."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (os.system, (f"touch '{self.marker}'",))


def wrap(model_format: str, content: Content, task: str = "classification", **model: Any) -> Write:
    """What writes an artifact around a model file; `model` are further keys of the signature's `model`."""

    def write(folder: Path, marker: Path) -> None:
        mapping = signature(task)["model"] if model_format == "onnx" else {"format": model_format, "trusted": []}
        if model_format not in ("onnx", "skops"):
            del mapping["trusted"]
        made = content if isinstance(content, bytes) else content(marker)
        write_artifact(folder, task, made, model=mapping | model)

    return write


def _replaced(make: Callable[[Path, Path], object]) -> Write:
    """An artifact in which `make(file, marker)` has put something else in the model's place."""

    def write(folder: Path, marker: Path) -> None:
        file = write_artifact(folder) / "model.onnx"
        file.unlink()
        make(file, marker)

    return write


def broken_files() -> dict[str, Write]:
    """What is wrong with a file as a file."""

    def link(file: Path, marker: Path) -> None:
        outside = marker.with_name("outside.onnx")
        outside.write_bytes(classifier())
        file.symlink_to(outside)

    def huge(file: Path, _marker: Path) -> None:
        with file.open("wb") as target:
            target.truncate(2**31)

    def path_in_manifest(folder: Path, _marker: Path) -> None:
        file = write_artifact(folder) / "manifest.json"
        document = json.loads(file.read_text())
        document["files"]["../model.onnx"] = document["files"]["model.onnx"]
        file.write_text(json.dumps(document))

    def nested_manifest(folder: Path, _marker: Path) -> None:
        (write_artifact(folder) / "manifest.json").write_text("[" * 100_000)

    return {
        "missing": _replaced(lambda _file, _marker: None),
        "directory": _replaced(lambda file, _: file.mkdir()),
        "named pipe": _replaced(lambda file, _: os.mkfifo(file)),
        "link to itself": _replaced(lambda file, _: file.symlink_to(file)),
        "link out of the artifact": _replaced(link),
        "2 GiB": _replaced(huge),
        "other bytes than packaged": _replaced(lambda file, _: file.write_bytes(b"other")),
        "path in the manifest": path_in_manifest,
        "manifest of lists in lists": nested_manifest,
        "unknown format": wrap("torch", b""),
    }


def _archive(names: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for name, content in names.items():
            file.writestr(name, content)
    return target.getvalue()


def _saved(write: Callable[[io.BytesIO], object]) -> bytes:
    target = io.BytesIO()
    write(target)
    return target.getvalue()


def disguises() -> dict[str, Write]:
    """Files that are not what their signature says."""

    def objects(marker: Path) -> Any:
        return np.array([Payload(marker)], dtype=object)

    def pickled(marker: Path) -> bytes:
        return pickle.dumps(Payload(marker))

    def torch(marker: Path) -> bytes:
        return _archive({"model/data.pkl": pickled(marker), "model/version": b"3"})

    as_onnx: dict[str, Content] = {
        "empty": b"",
        "pickle": pickled,
        "pickle as text": lambda marker: pickle.dumps(Payload(marker), 0),
        "joblib": lambda marker: _saved(lambda file: joblib.dump(Payload(marker), file)),
        "compressed joblib": lambda marker: _saved(lambda file: joblib.dump(Payload(marker), file, compress=3)),
        "NumPy objects": lambda marker: _saved(lambda file: np.save(file, objects(marker))),
        "NumPy archive": lambda marker: _saved(lambda file: np.savez(file, a=objects(marker))),
        "PyTorch": torch,
        "Keras": _archive({"config.json": b"{}", "model.weights.h5": b""}),
        "Keras HDF5": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "safetensors": (2).to_bytes(8, "little") + b"{}",
        "ONNX Runtime's own format": b"\x08\x00\x00\x00ORTM" + bytes(100),
        "cut zip": _archive({"schema.json": b"{}"})[:-5],
    }
    return {
        **{f"{name} as ONNX": wrap("onnx", content) for name, content in as_onnx.items()},
        "pickle as XGBoost": wrap("xgboost", pickled),
        "UBJSON as XGBoost": wrap("xgboost", b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{"),
        "pickle as LightGBM": wrap("lightgbm", pickled),
        "PyTorch as skops": wrap("skops", torch),
        "pickle as it says": wrap("pickle", pickled),
    }
