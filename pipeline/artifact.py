"""Writes what the model server loads: model file, signature, drift reference, model card, and a manifest over all."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import describe, drift, formats, parity
from pipeline.formats import Format
from pipeline.store import TrainedModel

SIGNATURE, DRIFT_REFERENCE, CARD, MANIFEST = (
    "signature.json",
    "reference.json",
    "MODEL_CARD.md",
    "manifest.json",
)


def write(
    model: TrainedModel,
    folder: Path,
    name: str,
    version: str,
    report: Mapping[str, Any] | None,
    packaging: Format,
    judged: bytes | None = None,
) -> dict[str, str]:
    """Write `model` in the format `packaging`, prove parity and write the artifact.

    `judged` is the model file that the gate judged, which is taken as it is. Returns the sha256 of the model file and
    of the manifest, by name. The same model, name, version and report give the same bytes, except as skops or pickle.
    Raises `ProblemError` when the format does not hold the model, or when the packaged and the trained model disagree.
    """
    content = formats.write(model, packaging) if judged is None else judged
    parity.check(model, packaging, content)
    files = {
        packaging.file: content,
        SIGNATURE: describe.to_json(describe.signature(model, packaging, content)),
        DRIFT_REFERENCE: describe.to_json(drift.reference(model)),
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
    files[MANIFEST] = describe.to_json(manifest)
    for file, data in files.items():
        (folder / file).write_bytes(data)
    return {file: hashlib.sha256(files[file]).hexdigest() for file in (packaging.file, MANIFEST)}


def write_reference(model: TrainedModel, file: Path) -> None:
    """The held-out rows with the predictions of the trained model, to compare served answers with."""
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
