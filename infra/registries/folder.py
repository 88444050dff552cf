"""A plain folder as a registry: `NAME/VERSION/` holds an artifact, `NAME/aliases.json` says which version is which.

Nothing runs there: the folder can be a share, or the working copy of a bucket.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.registries import Registered, RegistryError

MANIFEST, ALIASES = "manifest.json", "aliases.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
"""Names of models, versions and files: no separators, so that nothing leads out of the folder."""


class FolderRegistry:
    """The folder at `path`, which pods reach at `url`; without one at `file://PATH`."""

    def __init__(self, path: str, url: str | None) -> None:
        self._root = Path(path).expanduser()
        self._url = (url or f"file://{self._root.absolute()}").rstrip("/")

    @property
    def label(self) -> str:
        """Kind and place, for people."""
        return f"folder {self._url}"

    def names(self) -> Sequence[str]:
        """All registered models, sorted."""
        try:
            return sorted(entry.name for entry in self._root.iterdir() if entry.is_dir() and self._versions(entry.name))
        except OSError as error:
            raise RegistryError(f"{self._root}: {(error.strerror or 'unreadable').lower()}") from None

    def versions(self, name: str) -> Sequence[Registered]:
        """All versions of a model, the newest by name first: `10` before `9`."""
        aliases = self._aliases(name)
        newest = sorted(self._versions(name), key=_natural, reverse=True)
        return [self._registered(name, version, aliases) for version in newest]

    def find(self, name: str, version: str | None, alias: str | None) -> Registered | None:
        """The version that a name or an alias stands for now."""
        aliases = self._aliases(name)
        wanted = aliases.get(alias) if alias is not None else version
        if wanted is None or wanted not in self._versions(name):
            return None
        return self._registered(name, wanted, aliases)

    def read(self, version: Registered, file: str) -> bytes | None:
        """A file of the version's artifact."""
        if not NAME.fullmatch(file):
            return None
        path = self._root / version.name / version.version / file
        try:
            return path.read_bytes() if path.is_file() else None
        except OSError as error:
            raise RegistryError(f"{path}: {(error.strerror or 'unreadable').lower()}") from None

    def _registered(self, name: str, version: str, aliases: Mapping[str, str]) -> Registered:
        own = tuple(sorted(alias for alias, each in aliases.items() if each == version))
        return Registered(name, version, own, f"{self._url}/{name}/{version}")

    def _versions(self, name: str) -> list[str]:
        folder = self._root / name
        if not NAME.fullmatch(name) or not folder.is_dir():
            return []
        return [each.name for each in folder.iterdir() if NAME.fullmatch(each.name) and (each / MANIFEST).is_file()]

    def _aliases(self, name: str) -> dict[str, str]:
        if not self._root.is_dir():
            raise RegistryError(f"{self._root}: no such folder")
        file = self._root / name / ALIASES
        if not NAME.fullmatch(name) or not file.exists():
            return {}
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            content = None
        if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
            raise RegistryError(f"{file}: no map of aliases to versions")
        return content


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
