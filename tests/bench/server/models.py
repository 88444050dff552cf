"""The models and the bodies of one run: one gradient boosting model of 30 features in every form, and a slow forest."""

import json
from pathlib import Path

import joblib  # type: ignore[import-untyped]
import numpy as np
from sklearn.ensemble import RandomForestClassifier

from pipeline import artifact, formats, store, training
from pipeline.data import read_example

BODIES = 128


def write(folder: Path) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Train and write everything below `folder`; returns the probabilities that are right, a row per body."""
    training.train(read_example(), folder / "trained", "gradient-boosting")
    model = store.load(folder / "trained", "--model")
    for name in ("onnx", "skops"):
        artifact.write(model, folder / name, "bench", "v1", None, formats.find(name))
    forest = RandomForestClassifier(n_estimators=200, random_state=0, n_jobs=1)
    forest.fit(model.training_rows, model.estimator.predict(model.training_rows))
    slow = store.TrainedModel(model.facts, forest, model.training_rows, model.held_out_rows, model.held_out_answers)
    artifact.write(slow, folder / "slow", "bench", "v1", None, formats.find("skops"))
    joblib.dump(model.estimator, folder / "model.joblib")
    names = model.facts.features
    (folder / "names.txt").write_text("\n".join(names))
    rows = np.resize(model.held_out_rows, (BODIES, len(names)))
    _write_bodies(folder, rows.tolist(), list(names))
    probability = model.probability(rows)
    if probability is None:
        raise TypeError("the example is a classification")
    return probability


def _write_bodies(folder: Path, rows: list[list[float]], names: list[str]) -> None:
    tensor = {"name": "features", "datatype": "FP32", "shape": [1, len(names)]}
    kinds = {
        "named": [dict(zip(names, row, strict=True)) for row in rows],
        "short": [{f"f{index}": value for index, value in enumerate(row)} for row in rows],
        "tensor": [{"inputs": [tensor | {"data": row}]} for row in rows],
    }
    for kind, bodies in kinds.items():
        (folder / f"{kind}.jsonl").write_text("\n".join(json.dumps(body) for body in bodies) + "\n")
