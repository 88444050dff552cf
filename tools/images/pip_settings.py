"""This machine's pip settings for builds: index, proxy and certificates, as files that exist during a build only.

Behind a company proxy pip needs them inside the build as well. They may hold credentials, so they travel as build
secrets (`pip.conf`, `ca.pem`) and never as arguments; nothing of them stays in an image.
"""

import ast
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tools.images import process
from tools.paths import cache_dir
from tools.problem import Problem, ProblemError

SECRETS = "/run/secrets"
"""Where a Dockerfile finds them: `RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.pem …`."""
FIND_LINKS = "/run/find-links"
_KEYS = (
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "proxy", "cert", "client-cert"),
    *("timeout", "default-timeout", "retries"),
)
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""Where pip, its libraries and others look for a CA bundle, the first that is set."""
_SECTIONS = ("global", "install", ":env:")


@dataclass(frozen=True)
class BuildSettings:
    """Files for one build; they are gone after it."""

    secrets: dict[str, Path]
    """Build secrets by id; empty where the machine has no settings."""
    folders: dict[str, Path] = field(default_factory=dict)
    """Local folders of packages (`find-links`) by the path that the settings name inside the build."""


@contextmanager
def build_settings() -> Iterator[BuildSettings]:
    """Write this machine's settings for one build and remove them after it."""
    values = pip_values()
    folders = {f"{FIND_LINKS}/{number}": folder for number, folder in enumerate(_local_folders(values))}
    with _private_folder() as work:
        secrets = {}
        for key, name in (("cert", "ca.pem"), ("client-cert", "client.pem")):
            if source := values.get(key):
                secrets[name] = _copy(Path(source), work / name, f"pip setting {key}")
                values[key] = f"{SECRETS}/{name}"
        if values:
            secrets["pip.conf"] = work / "pip.conf"
            _write_private(secrets["pip.conf"], render(values, folders))
        yield BuildSettings(secrets, folders)


@contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder that only its owner may enter; those of killed runs are removed first, since no one locks them."""
    parent = cache_dir() / "images" / "settings"
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    for leftover in parent.iterdir():
        _remove_unless_locked(leftover)
    work = Path(tempfile.mkdtemp(dir=parent))
    descriptor = os.open(work, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield work
    finally:
        shutil.rmtree(work)
        os.close(descriptor)


def _remove_unless_locked(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)


def pip_values() -> dict[str, str]:
    """The settings that matter inside a build, the way pip on this machine sees them: files, then `PIP_*`."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    values = parse(done.stdout)
    if "cert" not in values:
        certificates = [os.environ[name] for name in _CERTIFICATES if os.environ.get(name)]
        values |= {"cert": certificates[0]} if certificates else {}
    return values


def parse(listing: str) -> dict[str, str]:
    """Read `pip config list`: later sections win as they do in pip."""
    sections: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in listing.splitlines():
        name, equals, quoted = line.partition("=")
        section, _, key = name.rpartition(".")
        if equals and section in sections and key in _KEYS:
            sections[section][key] = str(ast.literal_eval(quoted))
    return {key: value for section in _SECTIONS for key, value in sections[section].items()}


def render(values: dict[str, str], folders: dict[str, Path]) -> str:
    """The settings as a `pip.conf`; local folders get the names that they have inside the build."""
    inside = {str(folder): path for path, folder in folders.items()}
    lines = ["[global]"]
    for key, value in sorted(values.items()):
        words = [inside.get(word, word) for word in value.split()]
        if key == "find-links":
            words = [word for word in words if "://" in word or word in folders]
        if words:
            lines.append(f"{key} = " + "\n    ".join(words))
    return "\n".join([*lines, ""])


def _local_folders(values: dict[str, str]) -> list[Path]:
    """Folders of packages that exist and hold something; pip skips the others without a word, too."""
    words = [Path(word) for word in values.get("find-links", "").split() if "://" not in word]
    return [folder for folder in words if folder.is_dir() and any(folder.iterdir())]


def _copy(source: Path, target: Path, where: str) -> Path:
    try:
        _write_private(target, source.read_text(encoding="utf-8"))
    except OSError as error:
        fix = "correct the path in pip's settings (`pip config debug` shows where they come from)"
        problem = Problem(where, "the file cannot be read", f"{source} ({error.strerror})", "a PEM file", fix)
        raise ProblemError([problem]) from error
    return target


def _write_private(file: Path, text: str) -> None:
    with process.private_file(file) as target:
        target.write(text)
