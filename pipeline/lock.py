"""The record of what was pushed: `{"breast-cancer:v1": "127.0.0.1:5000/breast-cancer@sha256:…"}`."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager

from tools.paths import images_lock
from tools.problem import Problem, ProblemError


def read() -> dict[str, str]:
    """Reference by `name:version`; raises `ProblemError` when the file is not such a record."""
    file = images_lock()
    try:
        record = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except ValueError:
        record = None
    if not isinstance(record, dict) or not all(isinstance(value, str) for value in record.values()):
        fix = "remove the file and package the models again"
        raise ProblemError([Problem(str(file), "is no image record", "other content", "JSON of references", fix)])
    return record


def record(name: str, version: str, reference: str) -> None:
    """Set `name:version` to `reference`; other entries stay, also when two programs write at once."""
    with _alone():
        entries = read() | {f"{name}:{version}": reference}
        file = images_lock()
        new = file.with_name(f".{file.name}.{os.getpid()}")
        new.write_text(json.dumps(dict(sorted(entries.items())), indent=2) + "\n")
        new.replace(file)


@contextmanager
def _alone() -> Iterator[None]:
    folder = images_lock().parent
    folder.mkdir(parents=True, exist_ok=True)
    # The folder itself is locked: a lock file beside the record would show up in `git status`.
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
