"""Files that appear whole or not at all, with their mode from the first byte."""

import os
from pathlib import Path


def write(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Replace `path` atomically; `mode` is that of the new file (default: the owner alone reads it)."""
    data = content.encode() if isinstance(content, str) else content
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        os.fchmod(descriptor, mode)
    partial.replace(path)


def folder(path: Path, mode: int = 0o700) -> Path:
    """Create `path` and give it `mode`."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    return path
