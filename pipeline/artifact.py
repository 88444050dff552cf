"""Writes what the model server loads: ONNX file, signature, statistics, model card, and the manifest over them."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import convert, describe
from pipeline.evaluation import REPORT
from pipeline.store import TrainedModel
from tools.problem import Problem, ProblemError

MODEL, SIGNATURE, STATISTICS, CARD, MANIFEST = (
    "model.onnx",
    "signature.json",
    "statistics.json",
    "MODEL_CARD.md",
    "manifest.json",
)


def write(model: TrainedModel, folder: Path, name: str, version: str, report: Mapping[str, Any] | None) -> str:
    """Convert `model`, prove parity and write the artifact; returns the sha256 of the ONNX file.

    The same model, name, version and report give the same bytes. Raises `ProblemError` when ONNX and scikit-learn
    disagree.
    """
    content = convert.to_onnx(model)
    convert.check_parity(model, content)
    files = {
        MODEL: content,
        SIGNATURE: describe.to_json(describe.signature(model)),
        STATISTICS: describe.to_json(describe.statistics(model)),
        CARD: describe.card(model, name, version, report),
    }
    manifest = {
        "format": 1,
        "name": name,
        "version": version,
        "files": {
            file: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for file, data in files.items()
        },
        "provenance": {
            "data_sha256": model.facts.data_sha256,
            "family": model.facts.family,
            "seed": str(model.facts.seed),
            **model.facts.libraries,
        },
    }
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for file, data in (files | {MANIFEST: describe.to_json(manifest)}).items():
        (folder / file).write_bytes(data)
    return str(manifest["files"][MODEL]["sha256"])  # type: ignore[index]


def write_reference(model: TrainedModel, file: Path) -> None:
    """The held-out rows with the predictions of the original scikit-learn model, to compare served answers with."""
    rows, facts = model.held_out_rows, model.facts
    prediction, probability = model.predict(rows), model.probability(rows)
    answers: list[Any] = prediction.tolist()
    if facts.classes is not None:
        answers = [facts.classes[int(index)] for index in prediction]
    document = {
        "rows": [dict(zip(facts.features, row, strict=True)) for row in rows.tolist()],
        "prediction": answers,
        "probability": None if probability is None else probability.tolist(),
    }
    file.write_bytes(describe.to_json(document))


def read_report(folder: Path, model: TrainedModel) -> dict[str, Any] | None:
    """The gate's report on `model`, None when it was not evaluated; raises `ProblemError` when it was rejected."""
    file = folder / REPORT
    if not file.exists():
        return None
    report: dict[str, Any] = json.loads(file.read_text())
    if report["model_sha256"] != model.facts.model_sha256:
        return None
    if not report["accepted"]:
        got = "; ".join(report["reasons"])
        fix = "train a better model, or evaluate it against another champion or other floors"
        raise ProblemError([Problem(f"--model {folder}", "was rejected by the gate", got, "an accepted model", fix)])
    return report
