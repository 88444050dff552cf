"""Debian packages, downloaded and unpacked into the cache: nothing is installed, no service starts.

apt resolves the libraries that this machine lacks and checks the archive's signatures. Its lists come from the
system; where those are missing or too old, they are fetched into the cache instead.
"""

import os
import platform
import shutil
import stat
import subprocess
from pathlib import Path

from tools.paths import cache_dir
from tools.problem import Problem, ProblemError
from tools.progress import Progress, Step
from tools.toolchain import launchers, store
from tools.toolchain.catalog import DEBIAN_SETS
from tools.toolchain.installed import ask_version
from tools.toolchain.model import Debian, Spec, Tool

_LAYOUT = "2"
"""Raise when the launchers change, so that older caches are made anew."""


def _folder(set_name: str) -> Path:
    return cache_dir() / "debs" / set_name


def _fingerprint(set_name: str) -> str:
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        system = {}
    release = f"{system.get('ID', '')} {system.get('VERSION_ID', '')} {platform.machine()}"
    return store.fingerprint(_LAYOUT, release, *DEBIAN_SETS[set_name], str(_folder(set_name)))


def cached(spec: Spec) -> Tool | None:
    """The program of an earlier unpacking on this release of the distribution."""
    if spec.debian is None:
        return None
    folder = _folder(spec.debian.set_name)
    stamp = store.read_stamp(folder)
    if stamp.get("fingerprint") != _fingerprint(spec.debian.set_name):
        return None
    program = _program(spec, spec.debian)
    return Tool(spec.name, program, stamp.get(spec.name, "unknown"), "unpacked") if program.exists() else None


def _program(spec: Spec, debian: Debian) -> Path:
    folder = _folder(debian.set_name)
    if spec.name == "cni-plugins":
        return folder / "root" / debian.program
    return folder / "bin" / spec.executable


def blocker(spec: Spec) -> Problem | None:
    """What stops the unpacking before it begins: a machine without apt."""
    missing = [command for command in ("apt-get", "dpkg-deb") if shutil.which(command) is None]
    if not missing:
        return None
    return Problem(
        where=f"tool {spec.name}",
        what="it is not installed, and unpacking its Debian package needs apt",
        got=f"no {' and no '.join(missing)}",
        allowed="the tool on PATH, or a Debian or Ubuntu machine",
        fix=spec.fix,
    )


def provide(set_name: str, specs: list[Spec], progress: Progress) -> dict[str, Tool]:
    """Unpack one set of packages and prove that each wanted program starts.

    Raises ProblemError when apt cannot fetch the packages or a program does not run.
    """
    with store.locked(f"debs-{set_name}", progress):
        known = {spec.name: cached(spec) for spec in specs}
        if not all(known.values()):
            with progress.step(f"unpacking Debian packages into the cache ({set_name})") as step:
                _make(set_name, specs, step)
            known = {spec.name: cached(spec) for spec in specs}
    missing = [_does_not_run(spec, "no such program in its package") for spec in specs if not known[spec.name]]
    if missing:
        raise ProblemError(missing)
    return {name: tool for name, tool in known.items() if tool is not None}


def _make(set_name: str, specs: list[Spec], step: Step) -> None:
    packages = DEBIAN_SETS[set_name]
    target = _folder(set_name)
    with store.staging(set_name, target.parent) as folder:
        archives = folder / "archives"
        _fetch(packages, archives, step)
        unpacked = sorted(archives.glob("*.deb"))
        for number, package in enumerate(unpacked, start=1):
            step.update(f"{number} of {len(unpacked)}: {package.name.split('_')[0]}")
            subprocess.run(["dpkg-deb", "-x", str(package), str(folder / "root")], check=True)
        shutil.rmtree(archives)
        _drop_special_modes(folder / "root")
        launchers.write(folder, target)
        store.write_stamp(folder, {"fingerprint": _fingerprint(set_name)})
        store.replace_folder(folder, target)
    step.update("starting each program once")
    _record_versions(set_name, specs)
    step.update(f"done, {len(unpacked)} packages")


def _record_versions(set_name: str, specs: list[Spec]) -> None:
    """Start every wanted program; a set with one that does not run is not kept."""
    target = _folder(set_name)
    found: dict[str, object] = {}
    problems: list[Problem] = []
    for spec in specs:
        tool = cached(spec)
        program = tool.path / "bridge" if tool and spec.name == "cni-plugins" else tool.path if tool else None
        answer = launchers.starts(program, spec.version_arguments) if program else "no such program in its package"
        if program is None or answer:
            problems.append(_does_not_run(spec, answer))
        else:
            found[spec.name] = ask_version(program, spec.version_arguments)
    if problems:
        shutil.rmtree(target, ignore_errors=True)
        raise ProblemError(problems)
    store.write_stamp(target, {"fingerprint": _fingerprint(set_name), **found})


def _does_not_run(spec: Spec, got: str) -> Problem:
    return Problem(
        where=f"tool {spec.name}",
        what="its unpacked Debian package does not run",
        got=got,
        allowed="a program that prints its version",
        fix=spec.fix,
    )


def _fetch(packages: tuple[str, ...], archives: Path, step: Step) -> None:
    """Download packages and the libraries that the machine lacks, with the system's lists, else with fresh ones."""
    own = cache_dir() / "apt"
    (archives / "partial").mkdir(parents=True)
    (own / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (own / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    # Nothing below /var is written: apt's caches and locks lie in the cache folder.
    options = [f"Dir::Cache={own}/", f"Dir::Cache::archives={archives}/", "Debug::NoLocking=1", "APT::Sandbox::User="]
    fresh = [*options, f"Dir::State::lists={own}/lists/"]
    install = ["install", "--download-only", "--assume-yes", "--no-install-recommends", *packages]
    step.update("downloading")
    if _apt(options, install).returncode == 0:
        return
    step.update("the machine's package lists are missing or old, fetching fresh ones into the cache")
    update = _apt(fresh, ["update"])
    step.update("downloading")
    done = _apt(fresh, install)
    if done.returncode != 0:
        said = [line for text in (done.stderr, update.stderr) for line in text.splitlines() if line.startswith("E:")]
        problem = Problem(
            where=f"Debian packages {', '.join(packages)}",
            what="apt cannot fetch them",
            got=" / ".join(said[:4]) or f"exit status {done.returncode} of apt-get",
            allowed="a Debian or Ubuntu archive that apt reaches",
            fix="repair /etc/apt/sources.list or the network, or install these packages yourself",
        )
        raise ProblemError([problem])


def _apt(options: list[str], arguments: list[str]) -> subprocess.CompletedProcess[str]:
    command = ["apt-get", "--quiet=2", *(f"--option={option}" for option in options), *arguments]
    environment = {**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment, check=False
    )


def _drop_special_modes(root: Path) -> None:
    """Remove setuid and setgid bits: a cache folder is no place for programs that act as another user."""
    for file in root.rglob("*"):
        if not file.is_symlink():
            mode = stat.S_IMODE(file.stat().st_mode)
            if mode & (stat.S_ISUID | stat.S_ISGID):
                file.chmod(mode & 0o777)
