"""Images that a stack names by tag: looked up in the lock file, and made where they belong to the shipped example."""

from dataclasses import replace

from infra.config_schema import ModelSettings, Settings, VersionSettings
from infra.settings import read_lock, resolve_image
from pipeline import example
from tools.images.registry import node_registry
from tools.problem import Problem, ProblemError
from tools.progress import Progress


def ensure_images(settings: Settings, progress: Progress) -> None:
    """Build and push the example's versions when the stack names them.

    Raises:
        ProblemError: images that nobody packaged, each with the command that does.
    """
    if registry := example_registry(settings):
        example.build_versions(registry, progress)


def image_problems(settings: Settings) -> list[Problem]:
    """Every image that is neither by digest, nor in the lock file, nor made by `up`."""
    made = _made_by_up(settings)
    return [problem for name, problem in _unknown(settings).items() if name not in made]


def unmade_problems(settings: Settings, stack: str) -> list[Problem]:
    """As `image_problems`, and the example's images that `up` has yet to make: the program cannot run without."""
    made, fix = _made_by_up(settings), f"run `modelway up {stack}`, which makes it"
    return [replace(problem, fix=fix) if name in made else problem for name, problem in _unknown(settings).items()]


def example_registry(settings: Settings) -> str | None:
    """Where the example's images go; None when the stack does not name them, or its cluster cannot pull them."""
    return node_registry() if _made_by_up(settings) else None


def _made_by_up(settings: Settings) -> set[tuple[str, str]]:
    """Model and version of the example's images; another cluster could not pull from this machine."""
    if not settings.cluster.provider.is_local:
        return set()
    names = {f"{example.NAME}:{name}" for name in example.VERSIONS}
    return {(model.name, version.name) for model, version in _versions(settings) if version.image in names}


def _unknown(settings: Settings) -> dict[tuple[str, str], Problem]:
    lock = read_lock()
    found: dict[tuple[str, str], Problem] = {}
    for model, version in _versions(settings):
        try:
            resolve_image(model, version, lock)
        except ProblemError as error:
            found[model.name, version.name] = error.problems[0]
    return found


def _versions(settings: Settings) -> list[tuple[ModelSettings, VersionSettings]]:
    return [(model, version) for model in settings.models for version in model.versions]
