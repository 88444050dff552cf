"""Programs in their own namespaces: the command line, the reason of a failure, and a full disk."""

import errno
import os
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tools.images import process
from tools.problem import ProblemError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MODELWAY_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def run(script: str) -> list[str]:
    return process.run([sys.executable, "-c", script], what="image x", fix="do this", log="x")


def test_an_isolated_program_ends_with_its_parent_and_its_mounts_with_it() -> None:
    command = process.isolated(["app", "--flag"], {Path("/var/lib"): Path("/cache/lib")})
    assert command[:9] == [
        *("setpriv", "--pdeathsig", "KILL"),
        *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
    ]
    assert command[-5:] == ["/cache/lib", "/var/lib", "--", "app", "--flag"]


def test_the_last_lines_come_back_and_the_log_is_private(cache: Path) -> None:
    assert run("print('one'); print(); print('two')") == ["one", "two"]
    log = cache / "images/logs/x.log"
    assert log.read_text() == "one\n\ntwo\n"
    assert oct(log.stat().st_mode & 0o777) == "0o600"


PIP = "ERROR: No matching distribution found for x"
RUN = "Error: STEP RUN: exit status 1"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["STEP 1", PIP, "Cleaning up"], PIP),
        (["no module", "subprocess exited with status 1", RUN], f"no module ({RUN})"),
        (['time="now" level=fatal msg="Get \\"https://x/v2/\\": refused"'], 'Get "https://x/v2/": refused'),
        (["something odd"], "something odd"),
        ([], "exit status 3 without a word"),
    ],
)
def test_a_failure_states_the_programs_own_reason(cache: Path, lines: list[str], reason: str) -> None:
    with pytest.raises(ProblemError) as caught:
        run(f"[print(line) for line in {lines!r}]; raise SystemExit(3)")
    log = cache / "images/logs/x.log"
    assert str(caught.value) == (
        f"image x: it failed: got {reason}, allowed exit status 0; do this (its whole output: {log})."
    )


FULL_FIX = "free disk space there, or set MODELWAY_CACHE_DIR to a folder on another disk, and run the command again."


def test_a_program_that_meets_a_full_disk_is_said_as_such(cache: Path) -> None:
    with pytest.raises(ProblemError) as caught:
        run("print('write /x: no space left on device'); print('Error: commit failed'); raise SystemExit(1)")
    assert str(caught.value) == (
        f"{cache}: the disk of the cache folder is full: got no space left, allowed space for images; {FULL_FIX}"
    )


def test_only_a_full_disk_is_taken_for_one() -> None:
    with pytest.raises(PermissionError), process.explained():
        raise PermissionError(errno.EACCES, "denied")
    with pytest.raises(ProblemError), process.explained():
        raise OSError(errno.ENOSPC, "full")


def test_too_little_space_is_refused_before_the_work(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage(NamedTuple):
        total: int
        used: int
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10, 10, 1_500_000_000))
    process.require_space(1.5, "the base image")
    with pytest.raises(ProblemError) as caught:
        process.require_space(2, "the base image")
    assert str(caught.value) == (
        f"{cache}: the disk of the cache folder is full: got 1.5 GB free, allowed at least 2 GB for the base image; "
        + FULL_FIX
    )


def test_an_ordinary_user_is_refused_with_the_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ProblemError) as caught:
        process.require_root("image x", "run the command as root")
    assert str(caught.value) == "image x: it needs root: got user id 1000, allowed user id 0; run the command as root."


def test_a_missing_program_is_one_sentence() -> None:
    with pytest.raises(ProblemError) as caught:
        process.run(["/nowhere/tool"], what="image x", fix="install it", log="x")
    assert str(caught.value) == (
        "image x: a program is missing: got no /nowhere/tool, allowed a Linux machine with util-linux; install it."
    )
