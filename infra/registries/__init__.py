"""Where registered models are kept: a plain folder, MLflow, Weights & Biases. Only `modelway models` asks them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from infra.config_models import ModelRegistrySettings, RegistryKind
from tools.problem import Problem, ProblemError

if TYPE_CHECKING:
    from infra.config_schema import Settings

WHERE = "modelway:modelRegistry"
FIELDS = {
    RegistryKind.FOLDER: ("path",),
    RegistryKind.MLFLOW: ("url",),
    RegistryKind.WANDB: ("project",),
}
"""What each kind needs."""
OPTIONAL = {RegistryKind.FOLDER: ("url",)}
PLACES = ("url", "path", "project")


class RegistryError(Exception):
    """The registry does not answer, or not as it should; the text says what it did in a few words."""


@dataclass(frozen=True)
class Registered:
    """One version of a registered model."""

    name: str
    version: str
    aliases: tuple[str, ...]
    """Sorted."""
    source: str
    """The artifact's folder where pods fetch it, without a slash at its end."""


class Registry(Protocol):
    """What every registry can be asked. Each question raises `RegistryError` when it is not answered."""

    @property
    def label(self) -> str:
        """Kind and place, for people."""

    def names(self) -> Sequence[str]:
        """All registered models, sorted."""

    def versions(self, name: str) -> Sequence[Registered]:
        """All versions of a model, the newest first; none of a model that is not registered."""

    def find(self, name: str, version: str | None, alias: str | None) -> Registered | None:
        """The version that a name or an alias stands for now; None when it stands for none."""

    def read(self, version: Registered, file: str) -> bytes | None:
        """A file of the version's artifact; None when it has no such file."""


def registry_problems(settings: "Settings") -> list[Problem]:
    """What is wrong with `modelway:modelRegistry` itself."""
    registry = settings.model_registry
    if registry.kind is None:
        unused = [name for name in PLACES if getattr(registry, name) is not None]
        allowed = ", ".join(RegistryKind)
        return [Problem(f"{WHERE}.kind", "missing", f"only {name}", allowed, "set kind") for name in unused[:1]]
    needed, optional = FIELDS[registry.kind], OPTIONAL.get(registry.kind, ())
    problems = [
        Problem(f"{WHERE}.{name}", f"missing with kind {registry.kind}", "nothing", _meaning(name), f"set {name}")
        for name in needed
        if not getattr(registry, name)
    ]
    problems += [
        Problem(
            f"{WHERE}.{name}",
            f"not used with kind {registry.kind}",
            repr(getattr(registry, name)),
            " and ".join((*needed, *optional)),
            f"remove {name}",
        )
        for name in PLACES
        if getattr(registry, name) is not None and name not in (*needed, *optional)
    ]
    return problems or _form_problems(registry)


def _meaning(name: str) -> str:
    return {"url": "the address of the server", "path": "a folder", "project": "ENTITY/PROJECT"}[name]


def _form_problems(registry: ModelRegistrySettings) -> list[Problem]:
    schemes: tuple[str, ...] = ("http://", "https://")
    if registry.kind is RegistryKind.FOLDER:
        schemes = ("s3://", "gs://", *schemes, "file:///")
    if registry.url is not None and not registry.url.startswith(schemes):
        allowed = " or ".join(f"{scheme}…" for scheme in schemes)
        return [Problem(f"{WHERE}.url", "no address for this kind", repr(registry.url), allowed, "correct it")]
    if registry.project is not None and [bool(part) for part in registry.project.split("/")] != [True, True]:
        return [Problem(f"{WHERE}.project", "no project", repr(registry.project), "ENTITY/PROJECT", "correct it")]
    return []


def registry_of(settings: "Settings") -> Registry:
    """The registry of a stack; raises `ProblemError` when its config names none."""
    registry = settings.model_registry
    if registry.kind is None:
        allowed = "a kind with its place: folder, mlflow or wandb"
        raise ProblemError([Problem(WHERE, "missing", "nothing", allowed, "add it as docs/registries.md says")])
    if registry.kind is RegistryKind.FOLDER:
        from infra.registries.folder import FolderRegistry

        return FolderRegistry(registry.path or "", registry.url)
    if registry.kind is RegistryKind.MLFLOW:
        from infra.registries.mlflow import MlflowRegistry

        return MlflowRegistry(registry.url or "")
    from infra.registries.wandb import WandbRegistry

    return WandbRegistry(registry.project or "")
