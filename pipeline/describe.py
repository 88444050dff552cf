"""What an artifact says of its model: signature, reference statistics for drift, model card."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import convert, gate, metrics
from pipeline.store import TrainedModel

BINS = 10


def to_json(document: Any) -> bytes:
    """`document` as JSON with a final newline; the same document gives the same bytes."""
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def signature(model: TrainedModel) -> dict[str, Any]:
    """Names, types and training ranges of the inputs, and what the model answers."""
    facts, rows = model.facts, model.training_rows
    prediction, probability = convert.output_names(facts)
    return {
        "format": 1,
        "task": facts.task,
        "target": facts.target,
        "features": [
            {"name": name, "dtype": "float32", "minimum": float(low), "maximum": float(high)}
            for name, low, high in zip(facts.features, rows.min(axis=0), rows.max(axis=0), strict=True)
        ],
        "classes": list(facts.classes) if facts.classes is not None else None,
        "onnx": {"input": convert.INPUT, "prediction": prediction, "probability": probability},
    }


def statistics(model: TrainedModel) -> dict[str, Any]:
    """Distributions to compare live traffic with: features of the training rows, predictions on the held-out rows."""
    prediction = model.predict(model.held_out_rows)
    if model.facts.classes is None:
        predicted: dict[str, Any] = _bins(prediction.astype(np.float32))
    else:
        counts = np.bincount(prediction.astype(np.int64), minlength=len(model.facts.classes))
        predicted = {"classes": list(model.facts.classes), "counts": counts.tolist()}
    return {
        "format": 1,
        "rows": len(model.training_rows),
        "features": {name: _bins(model.training_rows[:, index]) for index, name in enumerate(model.facts.features)},
        "prediction": {"rows": len(prediction)} | predicted,
    }


def _bins(values: NDArray[np.float32]) -> dict[str, Any]:
    """Inner edges at the deciles (equal ones once) and the count of values per bin, a value on an edge above it."""
    edges = np.unique(np.quantile(values.astype(np.float64), np.arange(1, BINS) / BINS))
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    wide = values.astype(np.float64)
    return {
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        "mean": float(wide.mean()),
        "standard_deviation": float(wide.std()),
    }


def scores(model: TrainedModel) -> dict[str, gate.Interval]:
    """Scores on the held-out rows with their intervals."""
    facts = model.facts
    held_out = gate.HeldOut(facts.task, len(facts.classes or ()), model.held_out_answers)
    return dict(gate.judge(held_out, model.predict(model.held_out_rows), None).candidate)


def card(model: TrainedModel, name: str, version: str, report: Mapping[str, Any] | None) -> bytes:
    """The model card in Markdown."""
    facts = model.facts
    classes = ", ".join(str(label) for label in facts.classes) if facts.classes is not None else "none (a number)"
    rows = [f"| {metric} | {interval.value:.4f} | {interval.low:.4f} to {interval.high:.4f} |"
            for metric, interval in scores(model).items()]  # fmt: skip
    ranges = [
        f"| {feature['name']} | {feature['dtype']} | {feature['minimum']:g} to {feature['maximum']:g} |"
        for feature in signature(model)["features"]
    ]
    judged = "It was packaged without a gate report."
    if report is not None:
        judged = "The gate accepted it: " + "; ".join(report["reasons"]) + "."
    lines = [
        f"# {name} {version}",
        "",
        f"A {facts.task} model ({facts.family}) that predicts `{facts.target}`.",
        f"Classes: {classes}.",
        "",
        "## Scores",
        "",
        f"On {len(model.held_out_rows)} held-out rows, with 95 % bootstrap intervals. {judged}",
        *_meaning(facts.classes),
        "",
        "| metric | value | interval |",
        "|---|---|---|",
        *rows,
        "",
        "## Data",
        "",
        f"{len(model.training_rows)} training rows; table with sha256 `{facts.data_sha256}`, seed {facts.seed}.",
        "",
        "| feature | type | training range |",
        "|---|---|---|",
        *ranges,
        "",
        "## Limits",
        "",
        "Inputs outside the training ranges are answered, without any promise of accuracy.",
        "",
        "Made with " + ", ".join(f"{library} {number}" for library, number in facts.libraries.items()) + ".",
    ]
    return ("\n".join(lines) + "\n").encode()


def _meaning(classes: tuple[Any, ...] | None) -> list[str]:
    if classes is None:
        return []
    names = ", ".join(metrics.NAMES["classification"][1:])
    which = f"of the class {classes[1]}" if len(classes) == 2 else "the mean over all classes"
    return [f"The figures {names} are {which}."]
