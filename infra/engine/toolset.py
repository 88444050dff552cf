"""The programs of the engine; naming them does not load its SDK, which costs a quarter of a second."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Toolset:
    """What the engine is started with."""

    executable: Path
    """The Pulumi CLI."""
    version: str
    """Its version, `3.259.0`."""
    environment: Mapping[str, str]
    """Variables for it and its plugins: PATH first of all."""
