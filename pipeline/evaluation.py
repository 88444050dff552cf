"""Evaluates a trained model against a champion on the candidate's held-out rows and writes `report.json`."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from pipeline import gate, store
from pipeline.store import TrainedModel
from tools.problem import Problem, ProblemError

REPORT = "report.json"


def evaluate(
    candidate_folder: Path,
    champion_folder: Path | None,
    *,
    margin: float = gate.MARGIN,
    metric: str | None = None,
    floors: Mapping[str, float] | None = None,
) -> gate.Verdict:
    """Judge the model in `candidate_folder`; the verdict and all figures are written to its `report.json`.

    Raises `ProblemError` when a folder is no trained model or when the two models do not answer the same question.
    """
    candidate = store.load(candidate_folder, "--candidate")
    champion = store.load(champion_folder, "--champion") if champion_folder else None
    rows, facts = candidate.held_out_rows, candidate.facts
    notes = []
    if champion is not None:
        _check_same_question(candidate, champion)
        if (champion.facts.data_sha256, champion.facts.seed) != (facts.data_sha256, facts.seed):
            notes.append("the champion was trained on other rows and may have seen some of these, which favours it")
    verdict = gate.judge(
        gate.HeldOut(facts.task, len(facts.classes or ()), candidate.held_out_answers),
        candidate.predict(rows),
        champion.predict(rows) if champion else None,
        margin=margin,
        metric=metric,
        floors=floors,
    )
    report = {
        "accepted": verdict.accepted,
        "held_out_rows": len(rows),
        "model_sha256": facts.model_sha256,
        "champion_sha256": champion.facts.model_sha256 if champion else None,
        "floors": dict(floors or {}),
        "notes": notes,
    } | asdict(verdict)
    (candidate_folder / REPORT).write_text(json.dumps(report, indent=2) + "\n")
    return verdict


def _check_same_question(candidate: TrainedModel, champion: TrainedModel) -> None:
    problems = []
    for name in ("task", "target", "features", "classes"):
        own, other = getattr(candidate.facts, name), getattr(champion.facts, name)
        if own != other:
            fix = "train both on tables of the same columns"
            problems.append(Problem("--champion", f"has other {name}", str(other), str(own), fix))
    if problems:
        raise ProblemError(problems)
