"""Official downloads: fast to give up, and never used unless the publisher's sha256 matches."""

import hashlib
import queue
import re
import shutil
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from tools.problem import Problem, ProblemError
from tools.progress import Progress, Step
from tools.toolchain import store
from tools.toolchain.model import Release, Spec, Tool

FIRST_ANSWER_SECONDS = 5.0
"""A server that says nothing for so long counts as unreachable; name resolution is inside this limit."""

_STALL_SECONDS = 30.0
_CHUNK_BYTES = 1 << 20
_refused: dict[str, str] = {}
"""Hosts that refused in this run, with the reason; they are not asked again."""


class RefusedError(Exception):
    """The host cannot be reached or does not have the file."""


def provide(spec: Spec, release: Release, progress: Progress) -> Tool | None:
    """Download, check and publish one tool; None where its host refused, see `refusal`."""
    if not reachable(release.url):
        return None
    with store.locked("download", progress), store.staging("download", store.bin_dir()) as folder:
        try:
            with progress.step(f"downloading {spec.name} {spec.version}") as step:
                archive = folder / "download"
                expected = _expected_sha256(release)
                _save(release.url, archive, step)
                _verify(archive, expected, release.url)
                _unpack(archive, release.members, folder, spec.executable)
        except RefusedError as refusal:
            _refused[urlsplit(release.url).netloc] = str(refusal)
            return None
        target = store.bin_dir() / spec.cache_folder
        store.publish(folder, target, {"origin": "downloaded", "version": spec.version})
    return Tool(spec.name, target / spec.executable, spec.version, "downloaded")


def reachable(url: str) -> bool:
    """Whether the URL answers. Its host is asked once per run: a refusal is remembered."""
    host = urlsplit(url).netloc
    if host not in _refused:
        try:
            open_url(url, method="HEAD").close()
        except RefusedError as refused:
            _refused[host] = str(refused)
    return host not in _refused


def refusals(urls: Iterable[str]) -> str:
    """Hosts among these that refused, each with its reason, for one line of progress; empty when none did."""
    hosts = dict.fromkeys(urlsplit(url).netloc for url in urls)
    return ", ".join(f"{host}: {_refused[host]}" for host in hosts if host in _refused)


def open_url(url: str, method: str = "GET") -> IO[bytes]:
    """Open a URL. Raises RefusedError when it does not answer within `FIRST_ANSWER_SECONDS`, or with an error."""
    request = urllib.request.Request(url, method=method, headers={"User-Agent": "modelway"})  # noqa: S310 - table of https URLs
    answers: queue.Queue[Any] = queue.Queue()

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(request, timeout=_STALL_SECONDS))  # noqa: S310 - as above
        except (OSError, ValueError) as error:
            answers.put(error)

    # A thread, because a resolver that never answers cannot be given a time limit from here.
    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=FIRST_ANSWER_SECONDS)
    except queue.Empty:
        raise RefusedError(f"no answer in {FIRST_ANSWER_SECONDS:.0f} s") from None
    if isinstance(answer, urllib.error.HTTPError):
        status = answer.code
        answer.close()
        raise RefusedError(f"HTTP {status}")
    if isinstance(answer, urllib.error.URLError):
        raise RefusedError(getattr(answer.reason, "strerror", None) or str(answer.reason))
    if isinstance(answer, Exception):
        raise RefusedError(str(answer))
    response: IO[bytes] = answer
    return response


def _save(url: str, target: Path, step: Step) -> None:
    done = 0
    try:
        with open_url(url) as response, target.open("wb") as file:
            while chunk := response.read(_CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                step.update(f"{done / 1e6:.0f} MB")
    except OSError as error:
        raise RefusedError(f"broke off after {done / 1e6:.0f} MB: {error}") from error


def _expected_sha256(release: Release) -> str:
    try:
        with open_url(release.checksums_url) as response:
            text = response.read().decode("utf-8", "replace")
    except OSError as error:
        raise RefusedError(str(error)) from error
    name = release.url.rsplit("/", 1)[-1]
    for line in text.splitlines():
        words = line.split()
        if words and re.fullmatch(r"[0-9a-f]{64}", words[0]) and (len(words) == 1 or words[-1].lstrip("*") == name):
            return words[0]
    raise RefusedError(f"{release.checksums_url} states no sha256 of {name}")


def _verify(file: Path, expected: str, url: str) -> None:
    with file.open("rb") as content:
        got = hashlib.file_digest(content, "sha256").hexdigest()
    if got != expected:
        problem = Problem(
            where=url,
            what="the download is not what its publisher states",
            got=f"sha256 {got}",
            allowed=f"sha256 {expected}",
            fix="run the command again; if it stays so, the network changes the file: ask who runs it",
        )
        raise ProblemError([problem])


def _unpack(archive: Path, members: str, folder: Path, executable: str) -> None:
    """Turn the downloaded file into the programs beside it and remove it."""
    if not members:
        archive.replace(folder / executable)
        (folder / executable).chmod(0o755)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            parent, _, name = member.name.removeprefix("./").rpartition("/")
            wanted = members == f"{parent}/{name}" or members == f"{parent}/*"
            content = tar.extractfile(member) if wanted and member.isfile() else None
            if content is not None:
                with (folder / name).open("wb") as file:
                    shutil.copyfileobj(content, file)
                (folder / name).chmod(0o755)
    archive.unlink()
    if not (folder / executable).exists():
        raise RefusedError(f"the archive holds no {executable}")
