"""Programs that need mounts, run in mount and process namespaces of their own.

Whatever they mount vanishes with their last process, even after a kill, and nothing of the machine is changed:
files they insist on keeping in system folders are redirected into the cache folder.
"""

import errno
import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tools.paths import cache_dir
from tools.problem import Problem, ProblemError
from tools.progress import Step
from tools.toolchain import Tool
from tools.toolchain.store import write_atomically

_TAIL_LINES = 200
_BIND = 'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit; shift 2; done; shift; exec "$@"'
_ERROR = re.compile(r"^(error\b|e:|fatal\b)|\berror:|level=(error|fatal)", re.IGNORECASE)
_LOGGED = re.compile(r'level=\w+ msg="(.*)"$')
_NOISE = "subprocess exited with status"
_REASON_CHARACTERS = 500
_DISK_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)


def isolated(argv: Sequence[str], binds: Mapping[Path, Path]) -> list[str]:
    """The command line that runs `argv` in own namespaces, with each key of `binds` replaced by its value.

    The whole process tree ends when the thread that started it ends.
    """
    pairs = [str(part) for target, source in binds.items() for part in (source, target)]
    unshare = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return ["setpriv", "--pdeathsig", "KILL", *unshare, "sh", "-c", _BIND, "sh", *pairs, "--", *argv]


def require_root(what: str, fix: str) -> None:
    """Raise ProblemError unless this process is root."""
    if os.geteuid() != 0:
        problem = Problem(what, "it needs root", f"user id {os.geteuid()}", "user id 0", fix)
        raise ProblemError([problem])


def require_space(gigabytes: float, what: str) -> None:
    """Raise ProblemError when the disk of the cache folder has less free space."""
    folder = cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free / 1e9
    if free < gigabytes:
        raise ProblemError([_full(f"{free:.1f} GB free", f"at least {gigabytes:g} GB for {what}")])


def _full(got: str, allowed: str) -> Problem:
    fix = "free disk space there, or set MODELWAY_CACHE_DIR to a folder on another disk, and run the command again"
    return Problem(str(cache_dir()), "the disk of the cache folder is full", got, allowed, fix)


@contextmanager
def explained() -> Iterator[None]:
    """Turn an error that means a full disk into a ProblemError; every other error passes."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ProblemError([_full("no space left", "space for images")]) from error


def run(
    argv: Sequence[str],
    *,
    what: str,
    fix: str,
    log: str,
    step: Step | None = None,
    environment: Mapping[str, str] | None = None,
) -> list[str]:
    """Run a program to its end and return the last lines that it printed; its newest line becomes the step's note.

    All output goes to `images/logs/LOG.log` of the cache folder. Raises ProblemError with the program's own
    reason when it fails.
    """
    file = cache_dir() / "images" / "logs" / f"{log}.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    try:
        with (
            explained(),
            private_file(file) as record,
            subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                env=environment,
            ) as process,
        ):
            try:
                for line in process.stdout or ():
                    record.write(line)
                    if text := line.strip():
                        tail.append(text)
                        if step is not None:
                            step.update(text[:80])
            except BaseException:
                process.kill()
                raise
    except FileNotFoundError as error:
        problem = Problem(what, "a program is missing", f"no {error.filename}", "a Linux machine with util-linux", fix)
        raise ProblemError([problem]) from error
    if process.returncode != 0:
        raise ProblemError([_failure(what, process.returncode, list(tail), fix, file)])
    return list(tail)


def private_file(file: Path) -> TextIO:
    """Open a file for writing that only its owner may read."""
    return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8")


def _failure(what: str, code: int, tail: list[str], fix: str, log: Path) -> Problem:
    if any(_DISK_FULL.search(line) for line in tail):
        return _full("no space left", "space for images")
    tail = [line for line in tail if not line.startswith(_NOISE)]
    errors = [number for number, line in enumerate(tail) if _ERROR.search(line)]
    number = errors[-1] if errors else len(tail) - 1
    reason = tail[number] if tail else f"exit status {code} without a word"
    if logged := _LOGGED.search(reason):
        reason = logged.group(1).replace('\\"', '"')
    if "exit status" in reason and number > 0:
        # Builders say only that a command of theirs failed; its own last words stand before.
        reason = f"{tail[number - 1]} ({reason})"
    reason = reason[:_REASON_CHARACTERS]
    return Problem(what, "it failed", reason, "exit status 0", f"{fix} (its whole output: {log})")


def library_cache(tool: Tool) -> dict[Path, Path]:
    """The loader's cache with an unpacked tool's libraries in it, to bind over the system's.

    buildah starts itself again with an empty environment, so that `LD_LIBRARY_PATH` does not reach it.
    """
    folders = sorted(tool.path.parents[1].glob("root/usr/lib/*-linux-*")) if tool.origin == "unpacked" else []
    if not folders:
        return {}
    system = Path("/etc/ld.so.conf")
    configuration = cache_dir() / "images" / "ld.so.conf"
    cache = configuration.with_name("ld.so.cache")
    included = [f"include {system}"] if system.exists() else []
    text = "\n".join([*included, *map(str, folders), ""])
    if not cache.exists() or not configuration.exists() or configuration.read_text(encoding="utf-8") != text:
        write_atomically(configuration, text)
        argv = ["/sbin/ldconfig", "-X", "-f", str(configuration), "-C", str(cache)]
        own = Path("/var/cache/ldconfig")
        redirected = {own: configuration.parent} if own.exists() else {}
        run(
            isolated(argv, redirected),
            what="libraries of the unpacked tools",
            fix="report this with the log",
            log="ldconfig",
        )
    return {Path("/etc/ld.so.cache"): cache}
