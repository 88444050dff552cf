"""What a stack says about its servers, in the terms of the components."""

from typing import Any

from modelway.serving.runtime_checks import CONTAINER_FIELDS, Misfit, model_misfits, version_misfits
from modelway.serving.runtimes import Options, Runtime, runtime_of, split_base

from infra.config_schema import Environment, ModelSettings, Settings, VersionSettings
from infra.fetching import fetch_args
from infra.misfits import problem_of, spelling
from tools.problem import Problem

_NAMES = {
    *("allow_pickle", "feedback_outcomes", "identity_annotations"),
    *(name for names in CONTAINER_FIELDS.values() for name in names),
}
_SPELLED = spelling(_NAMES)
_OWN_KEYS = {"fetch.source": "model", "fetch.sha256": "sha256"}
"""Fields that the stack config has elsewhere."""


def runtime(model: ModelSettings, version: VersionSettings) -> Runtime:
    """How a version is served."""
    return runtime_of(model.name, version.name, _options(model, version))


def container_args(version: VersionSettings) -> dict[str, Any]:
    """The fields of `ContainerArgs` that are set."""
    return version.container.model_dump(exclude_none=True) if version.container else {}


def serving_problems(settings: Settings, model: ModelSettings) -> list[Problem]:
    """Everything that the components would refuse in a model's servers, and pickle in production."""
    where = f"modelway:models {model.name}"
    options = {version.name: _options(model, version) for version in model.versions}
    problems = [
        _problem(f"{where}.{name}", misfit) for name, each in options.items() for misfit in version_misfits(each)
    ]
    if not problems:
        problems = [_problem(where, misfit) for misfit in model_misfits(options)]
    if settings.environment is Environment.PRODUCTION:
        problems += [
            Problem(
                f"{where}.{version.name}.allowPickle",
                "opens files that can run any code in a production stack",
                "true",
                "ONNX, XGBoost, LightGBM or skops",
                "package the model in one of these and remove allowPickle",
            )
            for version in model.versions
            if version.allow_pickle
        ]
    return problems


def _options(model: ModelSettings, version: VersionSettings) -> Options:
    return Options(
        runtime=version.runtime.value,
        container=container_args(version),
        gpus=version.gpus,
        allow_pickle=version.allow_pickle,
        feedback=model.feedback,
        feedback_outcomes=tuple(model.feedback_outcomes),
        docs=model.docs,
        shadow=version.shadow,
        fetch=fetch_args(version),
    )


def _problem(where: str, misfit: Misfit) -> Problem:
    return problem_of(where, misfit._replace(field=_OWN_KEYS.get(misfit.field, misfit.field)), _SPELLED)


def base_path(model: ModelSettings, version: str | None = None) -> str:
    """The path that stands for the model, or for one version of it, in URLs: `/predict`, or `/v2` or `/v1` of servers
    that have none."""
    if version is not None:
        return next(runtime(model, each).base for each in model.versions if each.name == version)
    return split_base([runtime(model, each) for each in model.versions if not each.shadow])
