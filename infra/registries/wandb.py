"""Weights & Biases: artifacts of type `model`, through the public API of the package `wandb`, imported only here.

W&B names versions `v0`, `v1`, …; its own aliases are the aliases. Pods have no W&B client: they fetch a version
whose files are references to a bucket, and `modelway models lock` refuses one whose files W&B keeps itself.
"""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from infra.registries import Registered, RegistryError
from tools.problem import Problem, ProblemError

KIND = "model"
MANIFEST = "manifest.json"
Answer = TypeVar("Answer")


class WandbRegistry:
    """The models of `project` (`ENTITY/PROJECT`); `wandb` finds its key where it always does."""

    def __init__(self, project: str) -> None:
        try:
            import wandb
        except ImportError:
            fix = "run `pip install wandb`"
            problem = Problem("modelway:modelRegistry", "wandb is not installed", "no package wandb", "wandb 0.31", fix)
            raise ProblemError([problem]) from None
        self._project = project
        self._error: type[Exception] = wandb.errors.Error
        self._api: Any = self._asked(wandb.Api)

    @property
    def label(self) -> str:
        """Kind and place, for people."""
        return f"wandb {self._project}"

    def names(self) -> Sequence[str]:
        """All registered models, sorted."""
        return self._asked(
            lambda: sorted(str(each.name) for each in self._api.artifact_collections(self._project, KIND))
        )

    def versions(self, name: str) -> Sequence[Registered]:
        """All versions of a model, the newest first; none of a model that is not registered."""
        path = f"{self._project}/{name}"
        if not self._asked(lambda: bool(self._api.artifact_collection_exists(path, KIND))):
            return []
        found = self._asked(lambda: [_registered(name, each) for each in self._api.artifacts(KIND, path)])
        return sorted(found, key=lambda each: int(each.version.removeprefix("v")), reverse=True)

    def find(self, name: str, version: str | None, alias: str | None) -> Registered | None:
        """The version that a name or an alias stands for now."""
        path = f"{self._project}/{name}:{alias or version}"
        if not self._asked(lambda: bool(self._api.artifact_exists(path, KIND))):
            return None
        found = self._asked(lambda: _registered(name, self._api.artifact(path, KIND)))
        # W&B takes an alias where a version stands.
        return found if alias is not None or found.version == version else None

    def read(self, version: Registered, file: str) -> bytes | None:
        """A file of the version's artifact."""
        path = f"{self._project}/{version.name}:{version.version}"
        return self._asked(lambda: _content(self._api.artifact(path, KIND), file))

    def _asked(self, question: Callable[[], Answer]) -> Answer:
        try:
            return question()
        except self._error as error:
            raise RegistryError(f"wandb does not answer ({str(error).splitlines()[0][:100]})") from None


def _registered(name: str, artifact: Any) -> Registered:
    aliases = tuple(sorted(str(alias) for alias in artifact.aliases if alias != artifact.version))
    return Registered(name, str(artifact.version), aliases, _source(artifact))


def _source(artifact: Any) -> str:
    """The folder that all files refer to; where W&B keeps files itself, an address that no pod fetches."""
    folders = {str(entry.ref or "").removesuffix(f"/{path}") for path, entry in artifact.manifest.entries.items()}
    if len(folders) == 1 and (folder := folders.pop()):
        return folder
    return f"wandb-artifact:///{artifact.qualified_name}"


def _content(artifact: Any, file: str) -> bytes | None:
    if file not in artifact.manifest.entries:
        return None
    with tempfile.TemporaryDirectory() as folder:
        return Path(artifact.get_entry(file).download(root=folder)).read_bytes()
