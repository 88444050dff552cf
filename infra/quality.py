"""What a stack promises about predictions, in the terms of the components."""

from collections.abc import Iterator
from typing import Any, cast

from modelway.monitoring.quality_args import TRUTHS, QualityArgs, quality_misfits

from infra.config_quality import QualitySettings
from infra.config_schema import ModelSettings, RuntimeName, Settings, VersionSettings
from infra.misfits import problem_of, spelling
from tools.problem import Problem

_SPELLED = spelling([*QualityArgs.__annotations__, "retention_hours"])
_FIELDS = {"truth_fresh_within_hours": "truth.fresh_within_hours", "truth_fresh_percent": "truth.percent"}
SEVERITY_AND_WINDOWS = ("severity", "drift_window", "feedback_window")


def quality_args(settings: Settings) -> list[QualityArgs]:
    """The promises of every version of every model that makes some."""
    return [
        args
        for model in settings.models
        if model.quality is not None
        for version in model.versions
        if (args := _args(model, model.quality, version)) is not None
    ]


def quality_problems(settings: Settings, model: ModelSettings) -> list[Problem]:
    """What the components would refuse in a model's promises, and what nobody would measure."""
    if model.quality is None:
        return []
    where = f"modelway:models {model.name}.quality"
    if not settings.monitoring.enabled:
        return [Problem(where, "nothing would measure it", "monitoring off", "with monitoring", "enable monitoring")]
    # Shadows aside, every version makes the same promises, so the first one's faults are those of all.
    args = cast(QualityArgs, {"model": model.name, "version": "", **_said(model.quality)})
    misfits = quality_misfits(args, settings.monitoring.retention_hours)
    found = [problem_of(where, one._replace(field=_FIELDS.get(one.field, one.field)), _SPELLED) for one in misfits]
    return [*found, *_unmeasured(where, model, model.quality)]


def _unmeasured(where: str, model: ModelSettings, quality: QualitySettings) -> Iterator[Problem]:
    """Metrics that the model's servers do not export."""
    for version in model.versions:
        if version.runtime is not RuntimeName.MODELWAY:
            what, got = "its server does not export what is promised", f"{version.name} with runtime {version.runtime}"
            yield Problem(where, what, got, "runtime modelway", "remove quality")
    fed = [*_promised_by_feedback(quality)]
    if fed and not model.feedback:
        what, got, fix = "nobody tells what became of predictions", f"{fed[0]} without feedback", "set feedback"
        yield Problem(where, what, got, "a model with feedback", f"{fix}, or remove {fed[0]}")
    if model.feedback:
        for name in quality.outcomes_at_least:
            if name not in model.feedback_outcomes:
                allowed = ", ".join(model.feedback_outcomes) or "none, since feedbackOutcomes is empty"
                fix = "add it to feedbackOutcomes"
                yield Problem(f"{where}.outcomesAtLeast", "names no outcome", repr(name), allowed, fix)


def _promised_by_feedback(quality: QualitySettings) -> Iterator[str]:
    """Fields, as the stack config writes them, that feedback alone can show."""
    written = QualitySettings.model_fields
    for name in TRUTHS:
        if name in written and getattr(quality, name):
            yield written[name].alias or name
    if quality.truth is not None:
        yield "truth"


def _said(quality: QualitySettings) -> dict[str, Any]:
    given = quality.model_dump(exclude={"truth"})
    said: dict[str, Any] = {name: value for name, value in given.items() if value not in (None, {})}
    if quality.truth is not None:
        said["truth_fresh_within_hours"] = quality.truth.fresh_within_hours
        said["truth_fresh_percent"] = quality.truth.percent
    return said


def _args(model: ModelSettings, quality: QualitySettings, version: VersionSettings) -> QualityArgs | None:
    said = _said(quality)
    if version.shadow:
        # Nobody sees what it predicts, so nobody can tell what became of that.
        said = {name: value for name, value in said.items() if name not in (*TRUTHS, "truth_fresh_percent")}
    if not said.keys() - set(SEVERITY_AND_WINDOWS):
        return None
    return cast(QualityArgs, {"model": model.name, "version": version.name, **said})
