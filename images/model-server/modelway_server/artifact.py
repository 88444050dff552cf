"""Reads the files of an artifact: nothing outside its folder, nothing that its manifest does not vouch for."""

import hashlib
import os
import stat
from pathlib import Path
from typing import TypeVar, get_args

from pydantic import BaseModel, ValidationError

from modelway_server.signature import FileRecord, Manifest, Signature
from modelway_server.startup import StartupError, sentence

SIGNATURE, MANIFEST = "signature.json", "manifest.json"
REBUILD = "package the model again"
MAX_DOCUMENT_BYTES = 2**24
MAX_MODEL_BYTES = 2**31 - 1
"""The most that a protobuf, and so an ONNX file, can have; the other formats get the same limit."""

Document = TypeVar("Document", bound=BaseModel)


def read_manifest(directory: Path) -> Manifest:
    """What the artifact in `directory` says of its files; raises `StartupError`."""
    return _parse(Manifest, MANIFEST, _read(directory, MANIFEST, MAX_DOCUMENT_BYTES))


def read_signature(directory: Path, manifest: Manifest) -> Signature:
    """Inputs and outputs of the artifact in `directory`; raises `StartupError`."""
    return _parse(Signature, SIGNATURE, read_file(directory, SIGNATURE, manifest, MAX_DOCUMENT_BYTES))


def read_file(directory: Path, name: str, manifest: Manifest, max_bytes: int = MAX_MODEL_BYTES) -> bytes:
    """Content of one file of the artifact, exactly as it was packaged.

    Raises `StartupError` when the manifest does not list `name`, when the file is missing, no ordinary file, outside
    `directory`, larger than `max_bytes`, or has another sha256 than the manifest says.
    """
    record = manifest.files.get(name)
    if record is None:
        where = str(directory / MANIFEST)
        raise StartupError(sentence(where, "does not list a file", f"no {name!r}", "its sha256", REBUILD))
    content = _read(directory, name, max_bytes)
    _check_digest(directory / name, content, record)
    return content


def _check_digest(path: Path, content: bytes, record: FileRecord) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if digest != record.sha256:
        what, got, allowed = "is not the file that was packaged", f"sha256 {digest}", f"sha256 {record.sha256}"
        raise StartupError(sentence(str(path), what, got, allowed, REBUILD))


def _read(directory: Path, name: str, max_bytes: int) -> bytes:
    path = directory / name
    try:
        real = path.resolve()
        if not real.is_relative_to(directory.resolve()):
            what, allowed = "leads out of the artifact", f"a file in {directory}"
            raise StartupError(sentence(str(path), what, str(real), allowed, REBUILD))
        # Non-blocking: a named pipe would hold the start up for ever.
        with os.fdopen(os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as file:
            found = os.fstat(file.fileno())
            if stat.S_ISDIR(found.st_mode):
                raise _unreadable(path, "is a directory")
            if not stat.S_ISREG(found.st_mode):
                raise _unreadable(path, "no ordinary file")
            if found.st_size > max_bytes:
                what, got, allowed = "is too large", f"{found.st_size} bytes", f"at most {max_bytes} bytes"
                raise StartupError(sentence(str(path), what, got, allowed, "train a smaller model"))
            return file.read(max_bytes)
    except (OSError, RuntimeError) as error:
        # Python's own RuntimeError: a link that leads to itself.
        reason = getattr(error, "strerror", None) or "a link to itself"
        raise _unreadable(path, reason.lower()) from None


def _unreadable(path: Path, found: str) -> StartupError:
    fix = "check MODELWAY_MODEL_DIR or " + REBUILD
    return StartupError(sentence(str(path), "cannot be read", found, "a readable file", fix))


def _parse(kind: type[Document], name: str, content: bytes) -> Document:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        (version,) = get_args(kind.model_fields["format"].annotation)
        what, allowed = "is not as agreed", f"format {version}"
        raise StartupError(sentence(f"{name} {where}".strip(), what, first["msg"], allowed, REBUILD)) from None
