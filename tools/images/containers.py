"""Runs buildah and skopeo with everything that they read and keep in the cache folder."""

import os
from collections.abc import Sequence
from pathlib import Path

from tools.images import process
from tools.paths import PROJECT, cache_dir
from tools.progress import Step
from tools.toolchain import Tool
from tools.toolchain.store import write_atomically

_POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}\n'
"""Bases are given by digest or made here; signatures are not what decides."""
_STORING = ("bud", "push")
"""Commands of buildah that read the signature policy."""


def home() -> Path:
    """Folder of buildah's storage and configuration; safe to delete while no build runs."""
    return cache_dir() / "images" / "buildah"


def buildah(
    tool: Tool, arguments: Sequence[str], *, what: str, fix: str, log: str, step: Step | None = None
) -> list[str]:
    """Run one command of buildah and return its last lines. Raises ProblemError with its own reason."""
    folder = home()
    argv = [str(tool.path), "--root", str(folder / "storage"), "--runroot", str(folder / "run")]
    argv += ["--registries-conf", str(folder / "registries.conf"), arguments[0]]
    if arguments[0] in _STORING:
        argv += ["--signature-policy", str(folder / "policy.json")]
    return _run(tool, [*argv, *arguments[1:]], what, fix, log, step)


def skopeo(tool: Tool, arguments: Sequence[str], *, what: str, fix: str, log: str, step: Step) -> list[str]:
    """Run one command of skopeo and return its last lines. Raises ProblemError with its own reason."""
    argv = [str(tool.path), "--policy", str(home() / "policy.json"), "--tmpdir", str(home() / "tmp")]
    return _run(tool, [*argv, *arguments], what, fix, log, step)


def _run(tool: Tool, argv: Sequence[str], what: str, fix: str, log: str, step: Step | None) -> list[str]:
    _configure()
    command = process.isolated(argv, {**_redirected(), **process.library_cache(tool)})
    environment = {
        **os.environ,
        "BUILDAH_ISOLATION": "chroot",
        "STORAGE_DRIVER": "overlay",
        "CONTAINERS_CONF": str(home() / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(home() / "storage.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(home() / "registries.conf"),
        "TMPDIR": str(home() / "tmp"),
    }
    return process.run(command, what=what, fix=fix, log=log, step=step, environment=environment)


def _configure() -> None:
    folder = home()
    for name in ("storage", "run", "var-lib", "tmp", "cni"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    settings = {
        "policy.json": _POLICY,
        "registries.conf": "",
        "containers.conf": f'[network]\nnetwork_config_dir = "{folder / "cni"}"\n',
        "storage.conf": (
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder / "storage"}"\nrunroot = "{folder / "run"}"\n'
        ),
    }
    for name, text in settings.items():
        write_atomically(folder / name, text)


def _redirected() -> dict[Path, Path]:
    """Both programs keep a cache below /var/lib whatever they are told; nothing that they need lies there."""
    system = Path("/var/lib")
    needed = any(path.resolve().is_relative_to(system) for path in (cache_dir(), PROJECT, Path.cwd()))
    return {} if needed else {system: home() / "var-lib"}
