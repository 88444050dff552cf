"""One run per stack at a time, and the locks that a killed run left behind."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tools.problem import Problem, ProblemError

ORPHAN_SECONDS = 60.0
"""How long the engine of a killed run may take to finish its running steps."""


@contextmanager
def exclusive(work_folder: Path, stack: str) -> Iterator[None]:
    """Hold the stack for this process; the kernel lets go when the process ends, however it ends.

    Raises:
        ProblemError: another process of this machine holds it.
    """
    work_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (work_folder / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ProblemError([_busy(stack, file.read() or "unknown")]) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _busy(stack: str, pid: str) -> Problem:
    return Problem(
        f"stack {stack}",
        "another run works on it",
        f"process {pid}",
        "one run at a time",
        "wait for it to end, or press Ctrl-C there",
    )


def heal(backend_folder: Path, project: str, stack: str, record: Path, say: Callable[[str], None]) -> None:
    """Remove what a killed run left: half-written files, and locks whose process is dead; end its engine first.

    `record` holds the pid of the last engine that a run of ours started. Call it only inside `exclusive`.

    Raises:
        ProblemError: a living process, or another machine, holds the stack.
    """
    folder = backend_folder / ".pulumi" / "locks" / "organization" / project / stack
    ours = int(record.read_text() or 0) if record.exists() else 0
    for lock in sorted(folder.glob("*.json")):
        holder = json.loads(lock.read_text())
        pid, host = int(holder["pid"]), str(holder["hostname"])
        if host != socket.gethostname():
            raise ProblemError([_held(stack, f"{holder['username']}@{host} since {holder['timestamp']}")])
        if is_engine(pid):
            if pid != ours:
                raise ProblemError([_held(stack, f"process {pid} since {holder['timestamp']}")])
            say(f"A killed run left its engine running (process {pid}): waiting until its steps are done.")
            _end(pid)
        say(f"Removed the lock that a killed run left on stack {stack} (process {pid} is gone).")
        for file in (lock, lock.with_name(lock.name + ".attrs")):
            file.unlink(missing_ok=True)
    _remove_half_written(backend_folder, say)


def _remove_half_written(backend_folder: Path, say: Callable[[str], None]) -> None:
    """Remove files that a killed run began to write and did not finish.

    The engine fills a new file and then renames it, so the state itself is whole at any moment. The attributes beside
    it are written in place: killed between making and filling them, it leaves an empty file, and with that nobody reads
    the state ("failed to load checkpoint: EOF"). Without attributes nothing lacks but a checksum that is never compared
    (gocloud.dev/blob/fileblob, `setAttrs` and `getAttrs`).
    """
    for file in (backend_folder / ".pulumi").rglob("*.attrs"):
        try:
            json.loads(file.read_text())
        except ValueError:
            say(f"Removed {file.name}, which a killed run left half written; the state beside it is whole.")
            file.unlink()
    for file in (backend_folder / ".pulumi").rglob("*.tmp"):
        file.unlink()


def _held(stack: str, holder: str) -> Problem:
    return Problem(
        f"stack {stack}",
        "it is locked",
        holder,
        "one run at a time",
        f"wait for it to end, or run `pulumi cancel -s {stack}` when it is dead",
    )


def is_engine(pid: int) -> bool:
    """Whether process `pid` lives and is a Pulumi CLI: numbers are given again to other programs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    status = Path(f"/proc/{pid}/stat")
    if status.exists():
        name, _, rest = status.read_text().partition("(")[2].rpartition(")")
        return "pulumi" in name and rest.split()[0] != "Z"
    answer = subprocess.run(["ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "pulumi" in answer.stdout


def _end(pid: int) -> None:
    deadline = time.monotonic() + ORPHAN_SECONDS
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
    while is_engine(pid):
        # Not a child of this process: nothing to wait on but its disappearance.
        if time.monotonic() > deadline:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
