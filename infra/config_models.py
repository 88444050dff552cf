"""What the stack config says of where models come from and who vouches for them."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from infra.config_section import Section


class EvaluationSettings(Section):
    """`modelway:evaluation`: whose signed report a version needs (docs/evaluation.md)."""

    public_keys: Annotated[list[str], Field(max_length=2)] = Field(default_factory=list)
    """Lines that `python -m pipeline key` printed, two during a rotation; outside production also `local`, the key
    of this machine."""
    required: bool | None = None
    """Unless set: true in production, and wherever a key is named."""
    exempt: dict[str, str] = Field(default_factory=dict)
    """Versions that need no report, as MODEL.VERSION, and why."""


class RegistryKind(StrEnum):
    """What keeps registered models."""

    FOLDER = "folder"
    MLFLOW = "mlflow"
    WANDB = "wandb"


class ModelRegistrySettings(Section):
    """`modelway:modelRegistry`: what `modelway models` asks (docs/registries.md); nothing else does."""

    kind: Annotated[RegistryKind, Field(strict=False)] | None = None
    """None: the stack names no registered models."""
    url: str | None = None
    """mlflow: address of the server. folder: where pods fetch what lies in `path`; unless set `file://PATH`."""
    path: str | None = None
    """folder: the folder, as this machine sees it."""
    project: str | None = None
    """wandb: ENTITY/PROJECT."""
