"""Model files that want to do harm; not part of the image. Payloads create the file `marker`.

`reasons.tsv` has per case the sentence that refuses it; `{folder}` stands for the artifact, `{parent}` for its parent.
"""

from dataclasses import dataclass
from pathlib import Path

from hostile import artifact_files, onnx_files, tree_files
from hostile.artifact_files import Write, wrap

REASONS = Path(__file__).with_name("reasons.tsv")


@dataclass(frozen=True)
class Case:
    """One hostile artifact."""

    name: str
    """What it tries."""
    write: Write
    """Writes the artifact into its first argument; the second is the marker that a payload creates."""


def corpus() -> list[Case]:
    """Every case."""
    found = {**artifact_files.broken_files(), **artifact_files.disguises()}
    for name, (content, task) in onnx_files.contents().items():
        found[f"ONNX: {name}"] = wrap("onnx", content, task)
    for name, content in tree_files.xgboost_contents().items():
        found[f"XGBoost: {name}"] = wrap("xgboost", content)
    for name, content in tree_files.lightgbm_contents().items():
        found[f"LightGBM: {name}"] = wrap("lightgbm", content)
    for name, (content, trusted) in tree_files.skops_contents().items():
        found[f"skops: {name}"] = wrap("skops", content, trusted=trusted)
    return [Case(name, write) for name, write in found.items()]


def reasons() -> dict[str, str]:
    """The sentence that refuses each case, by the case's name."""
    lines = REASONS.read_text().splitlines()
    return dict(line.split("\t", 1) for line in lines)  # type: ignore[misc]
