"""The cache folder as a store: what is in it is whole, and one process at a time fills a part of it."""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tools.paths import cache_dir
from tools.progress import Progress

_STAMP = "stamp.json"
_PARTIAL = ".partial-"


def bin_dir() -> Path:
    """Folder of the programs that were downloaded or built: `bin/NAME-VERSION/NAME`."""
    return cache_dir() / "bin"


def fingerprint(*parts: str | bytes) -> str:
    """Short name for everything that decides what a cached item contains."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


@contextmanager
def locked(part: str, progress: Progress) -> Iterator[int]:
    """Hold one part of the cache alone, waiting for another process that fills it; yields the lock's descriptor.

    A child that inherits the descriptor keeps the lock for as long as it lives: the compiler that a killed
    command leaves behind is waited for instead of being run a second time beside itself.
    """
    folder = cache_dir() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / f"{part}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step(f"waiting for another process that fills the cache ({part})"):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def staging(part: str, parent: Path) -> Iterator[Path]:
    """An empty folder beside the final place; call it under `locked(part)`. What a killed run left is removed first."""
    parent.mkdir(parents=True, exist_ok=True)
    for leftover in parent.glob(f"{_PARTIAL}{part}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{_PARTIAL}{part}-", dir=parent))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_atomically(target: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file as a whole; a reader sees the old or the new content."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=_PARTIAL, dir=target.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).chmod(mode)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_stamp(folder: Path, stamp: Mapping[str, object]) -> None:
    """Record what the folder holds; written last, so a folder with a stamp is whole."""
    write_atomically(folder / _STAMP, json.dumps(stamp, indent=1, sort_keys=True) + "\n")


def read_stamp(folder: Path) -> dict[str, str]:
    """The record of a folder; empty where there is none or it cannot be read."""
    try:
        stamp = json.loads((folder / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(key): str(value) for key, value in stamp.items()} if isinstance(stamp, dict) else {}


def publish(staged: Path, folder: Path, stamp: Mapping[str, object]) -> None:
    """Move every file of the staging folder into its final folder, each at once, and stamp it."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(staged.iterdir()):
        file.replace(folder / file.name)
    write_stamp(folder, stamp)


def replace_folder(staged: Path, folder: Path) -> None:
    """Put a whole folder in place of an older one of the same name."""
    if folder.exists():
        retired = Path(tempfile.mkdtemp(prefix=staged.name, dir=folder.parent))
        folder.replace(retired / folder.name)
        staged.replace(folder)
        shutil.rmtree(retired, ignore_errors=True)
    else:
        staged.replace(folder)
