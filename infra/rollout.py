"""What a stack says about experiments and rollbacks, in the terms of the components."""

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from modelway.gateway.policy import OWN_CLASS
from modelway.rollout.plan import Metric, Plan, Served, model_plan, plan_misfits

from infra.config_schema import DIGEST, ExperimentSettings, ModelSettings, Provider, Settings
from infra.misfits import problem_of, spelling
from infra.routes import weight_of, weighted
from tools.problem import Problem, ProblemError

if TYPE_CHECKING:
    from infra.ground import Ground

IMAGE = "modelway:images.rolloutJudge"
_SPELLED = spelling([*(field.name for kind in (Metric, Plan) for field in fields(kind)), "feedback_outcomes"])


def rolled_back(settings: Settings) -> Settings:
    """The settings as they act: a model with `rollBackTo` gives that version the whole split, and has no experiment."""
    models = [_rolled_back(model) if model.roll_back_to else model for model in settings.models]
    return settings.model_copy(update={"models": models})


def _rolled_back(model: ModelSettings) -> ModelSettings:
    versions = [
        version
        if version.shadow
        else version.model_copy(update={"weight": 100 if version.name == model.roll_back_to else 0})
        for version in model.versions
    ]
    return model.model_copy(update={"versions": versions, "experiment": None})


def champion_of(model: ModelSettings) -> str:
    """The version that a candidate is compared with; empty where none is."""
    return _plan(model, model.experiment).champion if model.experiment else ""


def experiment_args(model: ModelSettings, ground: "Ground") -> dict[str, Any]:
    """The arguments of `ModelService` that concern its experiment; none without one.

    Raises:
        ProblemError: this ground has no image of the judge.
    """
    if model.experiment is None:
        return {}
    image = ground.image("rollout_judge")
    if image is None:
        fix = "run `modelway up node`, which makes it, or set images.rolloutJudge"
        got, allowed = "none among the node's images yet", "an image by digest"
        raise ProblemError([Problem(IMAGE, f"missing for the experiment of {model.name}", got, allowed, fix)])
    args: dict[str, Any] = {"experiment": said(model, model.experiment), "judge_image": image}
    if ground.cluster_cidrs:
        args["api_server_cidrs"] = ground.cluster_cidrs
    return args


def said(model: ModelSettings, experiment: ExperimentSettings) -> dict[str, Any]:
    """The rules of the model's experiment, in the terms of the components."""
    found: dict[str, Any] = experiment.model_dump(exclude_none=True, exclude={"drift_gate"})
    if experiment.drift_gate and model.quality is not None and model.quality.prediction_drift_psi is not None:
        found |= {"drift_psi": model.quality.prediction_drift_psi, "drift_window": model.quality.drift_window}
    return found


def rollout_problems(settings: Settings) -> list[Problem]:
    """Everything that the components would refuse in experiments, and what only a whole stack can get wrong."""
    return [*_image(settings), *(found for model in settings.models for found in _model(settings, model))]


def _model(settings: Settings, model: ModelSettings) -> Iterator[Problem]:
    where = f"modelway:models {model.name}"
    names = [version.name for version in weighted(model)]
    if model.roll_back_to is not None and model.roll_back_to not in names:
        got, fix = repr(model.roll_back_to), "name one of these, or remove rollBackTo"
        yield Problem(f"{where}.rollBackTo", "names no version of the split", got, ", ".join(names), fix)
    if model.experiment is None:
        return
    where += ".experiment"
    if not settings.monitoring.enabled:
        allowed, fix = "monitoring enabled", "enable monitoring, or remove the experiment"
        yield Problem(where, "nobody counts what is compared", "monitoring.enabled false", allowed, fix)
    if settings.gateway.class_name != OWN_CLASS:
        what = "the gateway does not tell which requests no pod answered"
        got, fix = f"gateway class {settings.gateway.class_name}", "remove className, or the experiment"
        yield Problem(where, what, got, f"only with className {OWN_CLASS}", fix)
    if model.experiment.drift_gate and (model.quality is None or model.quality.prediction_drift_psi is None):
        allowed, fix = "only with quality.predictionDriftPsi, its limit", "set it, or remove driftGate"
        yield Problem(f"{where}.driftGate", "has no limit", "true", allowed, fix)
    for misfit in plan_misfits(_plan(model, model.experiment), _served(model)):
        yield problem_of(where, misfit, _SPELLED)


def _plan(model: ModelSettings, experiment: ExperimentSettings) -> Plan:
    weights = {version.name: weight_of(model, version) for version in weighted(model)}
    return model_plan(said(model, experiment), weights, sticky=model.sticky is not None)


def _served(model: ModelSettings) -> Served:
    return Served(
        runtimes={version.name: version.runtime.value for version in weighted(model)},
        shadows=[version.name for version in model.versions if version.shadow],
        weights={version.name: weight_of(model, version) for version in weighted(model)},
        feedback=model.feedback,
        outcomes=model.feedback_outcomes,
    )


def _image(settings: Settings) -> Iterator[Problem]:
    image, judged = settings.images.rollout_judge, [model.name for model in settings.models if model.experiment]
    if image is not None and not judged:
        allowed = "only where a model has an experiment"
        yield Problem(IMAGE, "not used", repr(image), allowed, "remove rolloutJudge")
    elif image is not None and not DIGEST.fullmatch(image):
        allowed, fix = "REPOSITORY@sha256:<64 hex digits>", "write the digest that the push printed"
        yield Problem(IMAGE, "no digest", repr(image), allowed, fix)
    elif image is None and judged and settings.cluster.provider is not Provider.NODE:
        what, allowed = f"missing for the experiment of {', '.join(judged)}", "REPOSITORY@sha256:<64 hex digits>"
        yield Problem(IMAGE, what, "nothing", allowed, "push images/rollout-judge and write its digest")
