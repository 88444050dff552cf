"""What an artifact says of its model: signature and model card."""

import json
from collections.abc import Mapping
from typing import Any

from pipeline import gate, metrics
from pipeline.formats import Format
from pipeline.store import TrainedModel


def to_json(document: Any) -> bytes:
    """`document` as JSON with a final newline; the same document gives the same bytes."""
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def signature(model: TrainedModel, packaging: Format, content: bytes) -> dict[str, Any]:
    """Inputs, answers, and how the packaged `content` is read."""
    return {
        "format": 2,
        "task": model.facts.task,
        "target": model.facts.target,
        "features": _features(model),
        "classes": list(model.facts.classes) if model.facts.classes is not None else None,
        "model": {"format": packaging.name} | packaging.mapping(model, content),
    }


def _features(model: TrainedModel) -> list[dict[str, Any]]:
    """Names, types and training ranges of the inputs."""
    rows = model.training_rows
    return [
        {"name": name, "dtype": "float32", "minimum": float(low), "maximum": float(high)}
        for name, low, high in zip(model.facts.features, rows.min(axis=0), rows.max(axis=0), strict=True)
    ]


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
        for feature in _features(model)
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
