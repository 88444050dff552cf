"""The models lock of a stack: which version and which bytes stand behind each `models:/…` of its config.

`modelway models lock` writes it, a person commits it, and everything else reads it without a network: what a stack
deploys is decided by its commit alone.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tools.paths import PROJECT
from tools.problem import Problem, ProblemError

REGISTRY_URI = re.compile(r"models:/(?P<name>[^/@\s]+)(/(?P<version>[^/@\s]+)|@(?P<alias>[^/@\s]+))")
"""A version or an alias of a registered model, spelled as MLflow does."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class LockedModel(BaseModel):
    """One version of a registered model, pinned."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    version: Annotated[str, Field(min_length=1)]
    """The registry's own name of the version."""
    sha256: Sha256
    """Digest of the artifact's `manifest.json`, which lists every other file with its digest."""
    source: Annotated[str, Field(pattern=r"^(s3|gs|file|https?)://.*[^/]$")]
    """The artifact's folder where pods fetch it, without a slash at its end."""
    bytes: Annotated[int, Field(gt=0)]
    """Size of all files of the artifact."""
    registry: str
    """Kind and place of the registry that said so."""


class Lock(BaseModel):
    """A lock file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal[1] = 1
    models: dict[str, LockedModel] = Field(default_factory=dict)
    """By the URI that the config names."""


def lock_file(stack_file: Path) -> Path:
    """`models.STACK.lock.json` beside `Pulumi.STACK.yaml`: a stack moves to a new version without the others."""
    stack = stack_file.name.removeprefix("Pulumi.").removesuffix(".yaml")
    return stack_file.with_name(f"models.{stack}.lock.json")


def stack_lock(stack: str) -> Path:
    """The lock file of a stack of this checkout."""
    return lock_file(PROJECT / "stacks" / f"Pulumi.{stack}.yaml")


def read(path: Path) -> Lock:
    """The lock at `path`, empty where there is no file; raises `ProblemError` for one that is no lock."""
    try:
        return Lock.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return Lock()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        got = f"{first['msg']} at {where}" if where else first["msg"]
        fix = "run `modelway models lock`, which writes it anew"
        raise ProblemError([Problem(path.name, "no models lock", got, "what `models lock` wrote", fix)]) from None


def text(models: Mapping[str, LockedModel]) -> str:
    """The content of a lock file: the same models give the same text, one line per fact."""
    document = {"format": 1, "models": {uri: model.model_dump() for uri, model in models.items()}}
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def write(path: Path, models: Mapping[str, LockedModel]) -> None:
    """Replace the lock at `path` in one step."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text(models), encoding="utf-8")
    new.replace(path)


def is_registry_uri(uri: str) -> bool:
    """Whether `uri` names a registered model: `models:/NAME/VERSION` or `models:/NAME@ALIAS`."""
    return REGISTRY_URI.fullmatch(uri) is not None


def locked(where: str, uri: str, sha256: str | None, lock: Lock, stack: str) -> LockedModel:
    """What the lock says of `uri`, which stands at the config key `where`.

    Raises:
        ProblemError: the lock does not know it, or knows it with other bytes than the config's `sha256`.
    """
    command = f"run `modelway models lock {stack}`"
    found = lock.models.get(uri)
    if found is None:
        allowed = f"an alias or version that models.{stack}.lock.json pins"
        raise ProblemError([Problem(where, "is not in the models lock", repr(uri), allowed, command)])
    if sha256 is not None and sha256 != found.sha256:
        allowed = f"sha256 {found.sha256} as in the models lock"
        fix = f"correct sha256, or {command}"
        raise ProblemError([Problem(where, "differs from the models lock", f"sha256 {sha256}", allowed, fix)])
    return found
