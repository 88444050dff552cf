"""From `models:/…` in a stack's config to a lock: which version, whose bytes, and whether they are what they say."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.config_schema import Settings
from infra.registries import Registered, Registry, RegistryError
from infra.registry_lock import REGISTRY_URI, Lock, LockedModel, Sha256, is_registry_uri
from pipeline import attestation
from tools.paths import accepted_dir
from tools.problem import Problem, ProblemError

MANIFEST = "manifest.json"


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)

    sha256: Sha256
    bytes: int = Field(ge=0)


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True)

    files: dict[str, _File] = Field(min_length=1)


@dataclass(frozen=True)
class Resolved:
    """What a registry says of one URI."""

    uri: str
    model: LockedModel
    envelope: bytes | None
    """The signed evaluation report that lies beside the artifact."""


@dataclass(frozen=True)
class Moved:
    """An alias that stands for another version than the lock says."""

    uri: str
    locked: str
    now: str | None
    """None when it stands for none any more."""


def wanted(settings: Settings) -> dict[str, str]:
    """Every registry URI of the config, and the first key that names it."""
    found: dict[str, str] = {}
    for model in settings.models:
        for version in model.versions:
            if (uri := version.model) is not None and is_registry_uri(uri):
                found.setdefault(uri, f"modelway:models {model.name}.{version.name}.model")
    return found


def resolve(registry: Registry, uris: Mapping[str, str], lock: Lock) -> list[Resolved]:
    """Ask the registry for every URI, read every file and check it.

    Raises:
        ProblemError: with every alias or version that does not exist, every artifact that is not what its manifest
            or the present lock says, and a registry that does not answer.
    """
    problems, resolved = list[Problem](), []
    for uri, where in uris.items():
        try:
            resolved.append(_resolve(registry, uri, where, lock.models.get(uri)))
        except ProblemError as error:
            problems += error.problems
        except RegistryError as error:
            raise ProblemError([unreachable(registry, error)]) from None
    if problems:
        raise ProblemError(problems)
    return resolved


def unreachable(registry: Registry, error: RegistryError) -> Problem:
    """The registry cannot be asked."""
    fix = "check modelway:modelRegistry, the network and your credentials"
    return Problem(registry.label, "cannot be asked", str(error), "an answer", fix)


def moved(registry: Registry, lock: Lock) -> list[Moved]:
    """The aliases of the lock that stand for other versions by now; raises `RegistryError`."""
    found = []
    for uri, model in lock.models.items():
        match = REGISTRY_URI.fullmatch(uri)
        if match is None or match["alias"] is None:
            continue
        now = registry.find(match["name"], None, match["alias"])
        if now is None or now.version != model.version:
            found.append(Moved(uri, model.version, now.version if now else None))
    return found


def _resolve(registry: Registry, uri: str, where: str, before: LockedModel | None) -> Resolved:
    match = REGISTRY_URI.fullmatch(uri)
    found = match and registry.find(match["name"], match["version"], match["alias"])
    if match is None or found is None:
        raise ProblemError([_nothing(registry, uri, where, match["name"] if match else uri)])
    content = registry.read(found, MANIFEST)
    if content is None:
        allowed = "an artifact that `python -m pipeline package` wrote"
        raise ProblemError([_damaged(where, found, "no manifest.json", allowed)])
    sha256 = hashlib.sha256(content).hexdigest()
    if before is not None and before.version == found.version and before.sha256 != sha256:
        what = f"{found.name} {found.version} changed in the registry since it was locked"
        fix = "find out who changed it; a new model is a new version"
        raise ProblemError([Problem(where, what, f"sha256 {sha256}", f"sha256 {before.sha256}", fix)])
    size = len(content) + sum(_check_files(registry, found, where, content))
    try:
        model = LockedModel(
            version=found.version, sha256=sha256, source=found.source, bytes=size, registry=registry.label
        )
    except ValidationError:
        allowed, fix = "s3://, gs://, http(s):// or file://", "keep its files there, as docs/registries.md says"
        what = f"{found.name} {found.version} lies where pods cannot fetch it"
        raise ProblemError([Problem(where, what, repr(found.source), allowed, fix)]) from None
    return Resolved(uri, model, registry.read(found, attestation.FILE))


def _check_files(registry: Registry, found: Registered, where: str, content: bytes) -> list[int]:
    """Sizes of the files that the manifest lists; raises `ProblemError` for one that is not what it says."""
    try:
        files = _Manifest.model_validate(_json(content)).files
    except ValidationError:
        allowed = "the manifest.json that `python -m pipeline package` wrote"
        raise ProblemError([_damaged(where, found, "another manifest.json", allowed)]) from None
    problems = []
    for name, record in files.items():
        data = registry.read(found, name)
        digest = None if data is None else hashlib.sha256(data).hexdigest()
        if digest != record.sha256:
            got = f"no {name}" if digest is None else f"{name} with sha256 {digest}"
            problems.append(_damaged(where, found, got, f"sha256 {record.sha256} as manifest.json says"))
    if problems:
        raise ProblemError(problems)
    return [record.bytes for record in files.values()]


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError:
        return None


def _damaged(where: str, found: Registered, got: str, allowed: str) -> Problem:
    what = f"{found.name} {found.version} is not the artifact that was packaged"
    return Problem(where, what, got, allowed, "register the packaged artifact as a new version")


def _nothing(registry: Registry, uri: str, where: str, name: str) -> Problem:
    versions = registry.versions(name)
    known = [f"models:/{name}@{alias}" for each in versions for alias in each.aliases]
    known += [f"models:/{name}/{each.version}" for each in versions]
    allowed = ", ".join(known[:8]) or f"a model that is registered: {', '.join(registry.names()[:8]) or 'none is'}"
    fix = "set the alias in the registry, or correct the config"
    return Problem(where, f"resolves to nothing in {registry.label}", repr(uri), allowed, fix)


def changes(before: Lock, after: Mapping[str, LockedModel]) -> list[str]:
    """One line per URI whose pin is new, moved or gone."""
    lines = []
    for uri in sorted({*before.models, *after}):
        old, new = before.models.get(uri), after.get(uri)
        if old == new:
            continue
        if new is None:
            lines.append(f"{uri}: no longer in the config")
        elif old is None:
            lines.append(f"{uri}: version {new.version}, sha256 {new.sha256}")
        elif old.version == new.version:
            lines.append(f"{uri}: version {new.version}, now at {new.source}")
        else:
            lines.append(f"{uri}: version {old.version} to {new.version}, sha256 {new.sha256}")
    return lines


def keep_reports(resolved: Iterable[Resolved], folder: Path | None = None) -> list[str]:
    """Write the evaluation reports that came with the artifacts; returns the names of those that are new."""
    folder = folder or accepted_dir()
    names = []
    for each in resolved:
        file = folder / attestation.envelope_name(each.model.sha256)
        if each.envelope is None or (file.exists() and file.read_bytes() == each.envelope):
            continue
        folder.mkdir(parents=True, exist_ok=True)
        file.write_bytes(each.envelope)
        names.append(file.name)
    return names
