"""The base image of the node ground: a small Debian with Python, made by debootstrap from the Debian archive.

Where image registries can be reached, `python:3.11-slim` takes its place; both have `python3` with `venv`,
a shell and the public CA certificates. Two runs over the same packages give the same digest: files keep the time
stamps of their packages, and whatever the installation itself wrote counts as written at the epoch.
"""

import os
import platform
import shutil
import stat
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from io import BytesIO, RawIOBase
from pathlib import Path

from tools.images import oci, process
from tools.paths import cache_dir
from tools.progress import Progress
from tools.toolchain import Tool, ensure
from tools.toolchain.store import fingerprint

NAME = "modelway/python:3.11"
SUITE = "bookworm"
"""The Debian release whose `python3` is 3.11."""
PACKAGES = ("ca-certificates", "python3", "python3-venv")
_RECIPE = "1"
_FREE_GIGABYTES = 2.0
_DROPPED = (
    *("dev/", "proc/", "sys/", "run/", "tmp/", "var/tmp/", "var/log/", "var/cache/apt/", "var/cache/ldconfig/"),
    *("var/lib/apt/lists/", "usr/share/doc/", "usr/share/info/", "usr/share/locale/", "usr/share/man/"),
)
_DROPPED_FILES = (
    *("etc/hostname", "etc/resolv.conf", "etc/.pwd.lock", "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-"),
    *("var/cache/debconf/config.dat-old", "var/cache/debconf/templates.dat-old"),
    *("var/lib/dpkg/diversions-old", "var/lib/dpkg/status-old", "var/lib/dpkg/statoverride-old"),
)


def mirror() -> str:
    """URL of the Debian archive: `MODELWAY_DEBIAN_MIRROR`, else Debian's own content network."""
    return os.environ.get("MODELWAY_DEBIAN_MIRROR") or "http://deb.debian.org/debian"


def architecture() -> str:
    """Debian's and OCI's name of this machine's processor: `amd64`, `arm64`."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def key() -> str:
    """Fingerprint of everything that decides what the base image contains."""
    return fingerprint(_RECIPE, SUITE, *PACKAGES, architecture())


def base_image(store: oci.Store, progress: Progress) -> oci.Image:
    """The base image from the store, made if it is not there (about a minute); the caller holds the store's lock.

    Raises ProblemError when not root, when the disk is full or when the Debian archive cannot be reached.
    """
    if found := store.find(NAME, key()):
        return found
    process.require_root(
        f"base image {NAME}", "run the command as root, or where Docker answers, which needs no base image"
    )
    process.require_space(_FREE_GIGABYTES, "the base image")
    tool = ensure(("debootstrap",), progress)["debootstrap"]
    with progress.step(f"base image {NAME}: Debian {SUITE} by debootstrap") as step:
        work = _fresh_folder()
        started = time.time()
        try:
            process.run(
                _command(tool, work / "root"),
                what=f"base image {NAME}",
                fix=f"check that {mirror()} can be reached (MODELWAY_DEBIAN_MIRROR names another) and run again",
                log="debootstrap",
                step=step,
                environment=_environment(),
            )
            step.update("packing")
            layer = store.add(oci.LAYER, lambda target: _pack(work / "root", started, target))
        finally:
            shutil.rmtree(work)
        image = store.add_image(NAME, key(), [layer], oci.RunConfig(command=("python3",)), architecture())
        step.update(f"{layer.size / 1e6:.0f} MB")
    return image


def _fresh_folder() -> Path:
    """An empty folder; what a killed run left beside it is removed. Its mounts ended with that run."""
    parent = cache_dir() / "images" / "work"
    if parent.exists():
        shutil.rmtree(parent)
    parent.mkdir(parents=True)
    return Path(tempfile.mkdtemp(dir=parent))


def _command(tool: Tool, target: Path) -> list[str]:
    target.mkdir()
    target.chmod(0o755)
    options = ["--variant=minbase", f"--include={','.join(PACKAGES)}", "--force-check-gpg"]
    return process.isolated([str(tool.path), *options, SUITE, str(target), mirror()], {})


def _environment() -> dict[str, str]:
    """A clean environment: installation scripts read it, and the image must not depend on who builds it."""
    kept = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {**kept, "PATH": path, "HOME": "/root", "LC_ALL": "C"}


def _pack(root: Path, started: float, target: RawIOBase) -> None:
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for file in _kept(root):
            name = str(file.relative_to(root))
            info = tar.gettarinfo(str(file), name)
            info.uname = info.gname = ""
            # Debian's compiled modules state the time stamp of their source, which therefore has to stay.
            info.mtime = int(info.mtime) if info.mtime < started else 0
            content = _REWRITTEN[name](file.read_text()).encode() if name in _REWRITTEN else None
            if content is not None:
                info.size = len(content)
                tar.addfile(info, BytesIO(content))
            elif info.isreg():
                with file.open("rb") as source:
                    tar.addfile(info, source)
            else:
                tar.addfile(info)
        link = tarfile.TarInfo("usr/local/bin/python")
        link.type, link.linkname, link.mode = tarfile.SYMTYPE, "/usr/bin/python3", 0o777
        tar.addfile(link)


def _kept(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted([*folders, *files]):
            file = Path(folder, name)
            path = str(file.relative_to(root))
            mode = file.lstat().st_mode
            if path in _DROPPED_FILES or any(path.startswith(prefix) for prefix in _DROPPED):
                continue
            if stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode):
                yield file


def _without_dates(shadow: str) -> str:
    """Empty the day of the last password change, which is the day of the build."""
    lines = [line.split(":") for line in shadow.splitlines()]
    return "".join(":".join([*fields[:2], "", *fields[3:]]) + "\n" for fields in lines)


_REWRITTEN: dict[str, Callable[[str], str]] = {"etc/shadow": _without_dates}
