"""Evaluates a trained model, as it will be served, against a champion on the same held-out rows: `report.json`."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pipeline import formats, gate, parity, store
from pipeline.calibration import Calibration, calibration
from pipeline.paired import PairedTest, paired_test
from pipeline.rules import Rules
from pipeline.slices import Slice, compare
from pipeline.store import Outputs, TrainedModel
from tools.problem import Problem, ProblemError

REPORT = "report.json"
PACKAGED = "packaged"
"""Folder of the file that was judged, and that `package` takes."""


@dataclass(frozen=True)
class Evaluation(gate.Verdict):
    """The gate's verdict with everything that was compared."""

    checks: Mapping[str, bool]
    """Whether each rule holds, by its name."""
    test: PairedTest | None
    """The paired test over all rows; None without a champion."""
    slices: tuple[Slice, ...]
    calibration: Calibration | None
    """Of the candidate; None for regression."""
    champion_calibration: Calibration | None


def evaluate(
    candidate_folder: Path,
    champion_folder: Path | None,
    *,
    rules: Rules | None = None,
    model_format: str = formats.DEFAULT,
) -> Evaluation:
    """Judge the model in `candidate_folder`, as packaged in `model_format`; writes its `report.json`.

    Raises `ProblemError` when a folder is no trained model, when the two models do not answer the same question, when
    the format does not hold the model, and for rules that do not fit it.
    """
    rules = rules or Rules()
    packaging = formats.find(model_format)
    candidate = store.load(candidate_folder, "--candidate")
    champion = store.load(champion_folder, "--champion") if champion_folder else None
    if champion is not None:
        _check_same_question(candidate, champion)
    if rules.calibration and candidate.facts.classes is None:
        fix = "remove it from the rules"
        raise ProblemError([Problem("calibration", "needs classes", "a regression", "a classification", fix)])
    content = formats.write(candidate, packaging)
    parity.check(candidate, packaging, content)
    rows = candidate.held_out_rows
    own = packaging.run(content, rows, candidate.facts)
    rival = (champion.predict(rows), champion.probability(rows)) if champion else None
    outcome = _judge(candidate, own, rival, rules)
    folder = candidate_folder / PACKAGED
    folder.mkdir(exist_ok=True)
    (folder / packaging.file).write_bytes(content)
    report = {
        "format": packaging.name,
        "packaged_file": packaging.file,
        "packaged_sha256": hashlib.sha256(content).hexdigest(),
        "model_sha256": candidate.facts.model_sha256,
        "champion_sha256": champion.facts.model_sha256 if champion else None,
        "data_sha256": candidate.facts.data_sha256,
        "held_out_rows": len(rows),
        "held_out_sha256": _held_out_digest(candidate),
        "rules": rules.document(),
        "notes": _notes(candidate, champion),
    } | asdict(outcome)
    (candidate_folder / REPORT).write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return outcome


def _judge(model: TrainedModel, own: Outputs, rival: Outputs | None, rules: Rules) -> Evaluation:
    facts, truth = model.facts, model.held_out_answers
    other = rival[0] if rival else None
    verdict = gate.judge(
        gate.HeldOut(facts.task, len(facts.classes or ()), truth),
        own[0],
        other,
        margin=rules.margin,
        metric=rules.metric,
        floors=rules.floors,
    )
    parts = compare(facts, model.held_out_rows, truth, own[0], other, rules.slices)
    calibrated = None if own[1] is None else calibration(truth, own[0], own[1])
    rival_calibrated = None if rival is None or rival[1] is None else calibration(truth, rival[0], rival[1])
    reasons = [str(each) for each in parts if each.worse] + _miscalibrated(calibrated, rules)
    checks = {f"floor {name}": not gate.missed_floors(verdict.candidate, {name: floor})
              for name, floor in rules.floors.items()}  # fmt: skip
    if other is not None:
        checks[f"{verdict.metric} against the champion"] = not verdict.worse
        checks |= {f"slice {each.name}": not each.worse for each in parts if each.test is not None}
    if rules.calibration:
        checks["calibration"] = not _miscalibrated(calibrated, rules)
    base = {field.name: getattr(verdict, field.name) for field in fields(gate.Verdict)}
    if reasons:
        # The sentence of an acceptance would contradict the reasons of the rejection.
        reasons = [*(() if verdict.accepted else verdict.reasons), *reasons]
        base |= {"accepted": False, "reasons": tuple(reasons)}
    test = None if other is None else paired_test(facts.task, truth, own[0], other)
    return Evaluation(
        **base, checks=checks, test=test, slices=parts, calibration=calibrated, champion_calibration=rival_calibrated
    )


def _miscalibrated(found: Calibration | None, rules: Rules) -> list[str]:
    if found is None or rules.calibration is None or found.error.low <= rules.calibration.maximum_error:
        return []
    limit = f"{rules.calibration.maximum_error:g}"
    return [f"calibration: the expected calibration error is {found.error}, wholly above {limit}"]


def _notes(candidate: TrainedModel, champion: TrainedModel | None) -> list[str]:
    facts = candidate.facts
    if champion is None or (champion.facts.data_sha256, champion.facts.seed) == (facts.data_sha256, facts.seed):
        return []
    return ["the champion was trained on other rows and may have seen some of these, which favours it"]


def _held_out_digest(model: TrainedModel) -> str:
    total = hashlib.sha256(model.held_out_rows.tobytes())
    total.update(model.held_out_answers.tobytes())
    return total.hexdigest()


def _check_same_question(candidate: TrainedModel, champion: TrainedModel) -> None:
    problems = []
    for name in ("task", "target", "features", "classes"):
        own, other = getattr(candidate.facts, name), getattr(champion.facts, name)
        if own != other:
            fix = "train both on tables of the same columns"
            problems.append(Problem("--champion", f"has other {name}", str(other), str(own), fix))
    if problems:
        raise ProblemError(problems)


def report_of(folder: Path) -> dict[str, Any]:
    """The report that `evaluate` wrote into `folder`, whatever it says."""
    report: dict[str, Any] = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    return report


def read_report(folder: Path, model: TrainedModel) -> dict[str, Any] | None:
    """The gate's report on `model`, None when it was not evaluated; raises `ProblemError` when it was rejected."""
    file = folder / REPORT
    if not file.exists():
        return None
    report = report_of(folder)
    if report["model_sha256"] != model.facts.model_sha256:
        return None
    if not report["accepted"]:
        got = "; ".join(report["reasons"])
        fix = "train a better model, or evaluate it against another champion or by other rules"
        raise ProblemError([Problem(f"--model {folder}", "was rejected by the gate", got, "an accepted model", fix)])
    return report


def judged_file(folder: Path, report: Mapping[str, Any] | None, packaging: formats.Format) -> bytes | None:
    """The very bytes that `report` judged; None when the model was not evaluated.

    Raises:
        ProblemError: another format was judged, or the file is not the one that was.
    """
    if report is None:
        return None
    where, fix = f"--model {folder}", f"run `python -m pipeline evaluate --format {packaging.name}` again"
    if report.get("format") != packaging.name:
        got, allowed = f"--format {packaging.name}", f"--format {report.get('format')}, which the gate judged"
        raise ProblemError([Problem(where, "was evaluated in another format", got, allowed, fix)])
    try:
        content = (folder / PACKAGED / packaging.file).read_bytes()
    except OSError:
        content = b""
    if (digest := hashlib.sha256(content).hexdigest()) != report["packaged_sha256"]:
        what, got = f"{PACKAGED}/{packaging.file} is not the file that was evaluated", f"sha256 {digest}"
        raise ProblemError([Problem(where, what, got, f"sha256 {report['packaged_sha256']}", fix)])
    return content
