"""Versions whose model is fetched by their pods: where from, with which sum, into which image of our server."""

from typing import Any

from infra.config_schema import FetchSettings, RuntimeName, Settings, VersionSettings
from infra.registry_lock import Lock, is_registry_uri, locked, read, stack_lock
from tools.problem import Problem, ProblemError

MIB = 2**20


def source_problems(settings: Settings, stack: str) -> list[Problem]:
    """Versions that name no model, two, or one that the lock of the stack does not know."""
    problems = []
    lock = _lock(settings, stack)
    for model in settings.models:
        for version in model.versions:
            where = f"modelway:models {model.name}.{version.name}"
            problems += _one_source(where, version)
            if version.model is not None:
                problems += _known(where, settings, version, lock, stack)
    return problems


def with_sources(settings: Settings, stack: str) -> Settings:
    """The settings with the image of our server, and what the lock says of registered models, where versions name a
    model; raises `ProblemError` for one that the lock does not know."""
    lock = _lock(settings, stack)
    models = [
        model.model_copy(update={"versions": [_with_source(settings, each, lock, stack) for each in model.versions]})
        for model in settings.models
    ]
    return settings.model_copy(update={"models": models})


def fetch_args(version: VersionSettings) -> dict[str, Any] | None:
    """The fields of `FetchArgs` that are set; None for a version whose model is in the image, or is not known yet."""
    if version.model is None or version.sha256 is None or is_registry_uri(version.model):
        return None
    own = version.fetch.model_dump(exclude_none=True) if version.fetch is not None else {}
    return {"source": version.model, "sha256": version.sha256, **own}


def deployed_digest(version: VersionSettings, image: str) -> str:
    """sha256 of what a version serves: of the model that its pods fetch, or of the image that has it."""
    fetched = version.sha256 if version.model is not None else None
    return fetched or image.rpartition("sha256:")[2]


def _lock(settings: Settings, stack: str) -> Lock:
    registered = (is_registry_uri(each.model or "") for model in settings.models for each in model.versions)
    return read(stack_lock(stack)) if any(registered) else Lock()


def _one_source(where: str, version: VersionSettings) -> list[Problem]:
    if version.model is None and not version.image:
        fix = "add image, or model with sha256"
        return [Problem(f"{where}.image", "missing", "neither image nor model", "one of the two", fix)]
    if version.model is not None and version.image:
        fix = "remove image; the server's own is serverImage"
        return [Problem(f"{where}.image", "set together with model", repr(version.image), "one of the two", fix)]
    if version.model is not None:
        return []
    alone = {"sha256": version.sha256, "fetch": version.fetch, "serverImage": version.server_image}
    return [
        Problem(f"{where}.{name}", "set without model", name, "with model", f"remove {name}, or name a model")
        for name, value in alone.items()
        if value is not None
    ]


def _known(where: str, settings: Settings, version: VersionSettings, lock: Lock, stack: str) -> list[Problem]:
    uri, problems = version.model or "", []
    if version.runtime is RuntimeName.MODELWAY and not (version.server_image or settings.images.model_server):
        fix = "name an image of the server for the model's format; every packaged one is"
        got = f"nothing for {where}"
        problems.append(Problem("modelway:images.modelServer", "missing for a model", got, "an image", fix))
    if is_registry_uri(uri):
        try:
            locked(f"{where}.model", uri, version.sha256, lock, stack)
        except ProblemError as error:
            problems += error.problems
    elif version.sha256 is None:
        fix = "add the sha256 of the artifact's manifest.json"
        problems.append(Problem(f"{where}.sha256", "missing for a model", "nothing", "64 hex digits", fix))
    return problems


def _with_source(settings: Settings, version: VersionSettings, lock: Lock, stack: str) -> VersionSettings:
    if version.model is None:
        return version
    update: dict[str, Any] = {"image": version.server_image or settings.images.model_server or version.image}
    if is_registry_uri(version.model):
        found = locked(version.name, version.model, version.sha256, lock, stack)
        update |= {"model": found.source, "sha256": found.sha256}
        fetch = version.fetch or FetchSettings()
        # A file may take more blocks than its bytes say.
        update["fetch"] = fetch.model_copy(update={"size_limit_mib": fetch.size_limit_mib or found.bytes // MIB + 2})
    return version.model_copy(update=update)
