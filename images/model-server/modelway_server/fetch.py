"""Fetches a model before the server starts: `python -m modelway_server.fetch`, in an init container.

An artifact is a folder with `manifest.json`, which lists every other file with its sha256. The sum of the manifest is
given, so it vouches for all of them, wherever they come from and whoever may write there.
"""

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, NoReturn

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelway_server import log
from modelway_server.artifact import MANIFEST, MAX_DOCUMENT_BYTES
from modelway_server.signature import Manifest
from modelway_server.sources import Source, SourceError, source_of
from modelway_server.startup import StartupError, sentence

PREFIX = "MODELWAY_FETCH_"
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class FetchSettings(BaseModel):
    """Each field is the environment variable `MODELWAY_FETCH_` + its name in capitals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Annotated[str, Field(pattern=r"^(s3|gs|file|https?)://[^\s?#]*[^\s?#/]$")]
    """Folder of the artifact, without a slash at its end; `file:///PATH` is below `file_root`."""
    sha256: Sha256
    """Of the artifact's `manifest.json`."""
    target: Path
    """Empty folder to write to."""
    max_bytes: Annotated[int, Field(ge=1)] = 2**31
    """Size that all files may have together."""
    credentials_file: Path | None = None
    """For `s3`: an AWS credentials file, profile `default`; for `gs`: a service account's key as JSON; for `http` and
    `https`: the value of the header `Authorization`. None: what the platform gives the pod, for `http` nothing."""
    endpoint: str | None = None
    """Address of an S3 that is not Amazon's."""
    region: str | None = None
    """Region of the bucket, for `s3`. Defaults to what the platform says, else `us-east-1`."""
    file_root: Path = Path("/source")
    """Where `file://` begins."""


def load(environment: Mapping[str, str]) -> FetchSettings:
    """Settings from `environment`; raises `StartupError` with every problem found."""
    names = {name: PREFIX + name.upper() for name in FetchSettings.model_fields}
    raw = {name: environment[variable] for name, variable in names.items() if environment.get(variable)}
    try:
        return FetchSettings.model_validate(raw)
    except ValidationError as error:
        raise StartupError(
            [
                _reason(names[str(each["loc"][0])], each["type"], each["msg"], raw, str(each["loc"][0]))
                for each in error.errors()
            ]
        ) from None


def _reason(variable: str, kind: str, message: str, raw: Mapping[str, str], name: str) -> str:
    if kind == "missing":
        return sentence(variable, "is missing", "nothing", "a value", "set it")
    allowed = message.removeprefix("Input should be ").removeprefix("String should ")
    return sentence(variable, "not a usable value", repr(raw[name]), allowed[:1].lower() + allowed[1:], "correct it")


def fetch(settings: FetchSettings) -> int:
    """Write the artifact's files to the target, each as its sum says; returns their size. Raises `StartupError`."""
    source = source_of(settings)
    document = _received(settings, source, MANIFEST, min(MAX_DOCUMENT_BYTES, settings.max_bytes))
    _check(settings, MANIFEST, document, settings.sha256, "publish the model again, or correct the sha256")
    manifest = _manifest(settings, document)
    total = len(document) + sum(record.bytes for record in manifest.files.values())
    if total > settings.max_bytes:
        allowed, fix = f"at most {settings.max_bytes} bytes", "raise the size limit"
        raise StartupError(sentence(settings.source, "is too large", f"{total} bytes", allowed, fix))
    for name, record in manifest.files.items():
        _write(settings, source, name, record.bytes, record.sha256)
    # Last: a folder without it is a fetch that did not finish.
    (settings.target / MANIFEST).write_bytes(document)
    return total


def _received(settings: FetchSettings, source: Source, name: str, most: int) -> bytes:
    content = bytearray()
    for chunk in _chunks(settings, source, name):
        content += chunk
        if len(content) > most:
            where = f"{settings.source}/{name}"
            raise StartupError(
                sentence(where, "is too large", f"more than {most} bytes", f"at most {most}", "check it")
            )
    return bytes(content)


def _write(settings: FetchSettings, source: Source, name: str, size: int, sha256: str) -> None:
    digest, received = hashlib.sha256(), 0
    with (settings.target / name).open("wb") as file:
        for chunk in _chunks(settings, source, name):
            received += len(chunk)
            if received > size:
                break
            digest.update(chunk)
            file.write(chunk)
    if received != size or digest.hexdigest() != sha256:
        got = (
            f"sha256 {digest.hexdigest()}"
            if received == size
            else f"{'more than' if received > size else 'only'} {min(received, size)} bytes"
        )
        allowed = f"sha256 {sha256}" if received == size else f"{size} bytes"
        raise _another(f"{settings.source}/{name}", got, allowed, "publish the model again")


def _check(settings: FetchSettings, name: str, content: bytes, sha256: str, fix: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise _another(f"{settings.source}/{name}", f"sha256 {found}", f"sha256 {sha256}", fix)


def _another(where: str, got: str, allowed: str, fix: str) -> StartupError:
    return StartupError(sentence(where, "is not the file that was asked for", got, allowed, fix))


def _manifest(settings: FetchSettings, document: bytes) -> Manifest:
    try:
        return Manifest.model_validate_json(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{settings.source}/{MANIFEST} {'.'.join(map(str, first['loc']))}".strip()
        fix = "package the model again"
        raise StartupError(sentence(where, "is not as agreed", first["msg"], "format 1", fix)) from None


def _chunks(settings: FetchSettings, source: Source, name: str) -> Iterator[bytes]:
    try:
        yield from source(name)
    except SourceError as error:
        where = f"{settings.source}/{name}"
        raise StartupError(sentence(where, "cannot be fetched", str(error), "a readable file", error.fix)) from None


def main() -> None:
    """Fetch what the environment says; exit 1 with one sentence per reason if that fails."""
    log.configure()
    try:
        settings = load(os.environ)
        size = fetch(settings)
    except StartupError as error:
        _end(error.reasons)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        target = os.environ.get(f"{PREFIX}TARGET", "")
        _end([sentence(target, "cannot be written", reason, "an empty folder with room for the model", "mount one")])
    log.event("fetched", source=settings.source, sha256=settings.sha256, bytes=size)


def _end(reasons: Sequence[str]) -> NoReturn:
    for reason in reasons:
        sys.stderr.write(reason + "\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
