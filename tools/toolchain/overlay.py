"""A dependency with some of its files replaced, where its Go module lacks what its program embeds."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tools.toolchain import store

FOLDER = "overlay"
"""In a folder of `modules/`: the files that are laid over the dependency, by their path in it."""


@contextmanager
def laid_over(module: Path, dependency: str, go: Path, environment: Mapping[str, str]) -> Iterator[list[str]]:
    """Options of `go build` for the graph of `module` with its overlay; call it under the lock of Go's builds.

    Go itself refuses an overlay of its module cache, so the dependency is copied for as long as it compiles.

    Raises:
        subprocess.CalledProcessError: the dependency cannot be had; its `stderr` says why.
    """

    def run(*arguments: str) -> str:
        command = [str(go), *arguments]
        return subprocess.run(command, cwd=module, env=environment, check=True, capture_output=True, text=True).stdout

    origin = json.loads(run("mod", "download", "-json", dependency))["Dir"]
    with store.staging("source", store.bin_dir()) as folder:
        source = folder / "source"
        shutil.copytree(origin, source)
        for path in (source, *source.rglob("*")):
            # The module cache is read-only, and so is a copy of it.
            path.chmod(0o755 if path.is_dir() else 0o644)
        shutil.copytree(module / FOLDER, source, dirs_exist_ok=True)
        for name in ("go.mod", "go.sum"):
            shutil.copy(module / name, folder / name)
        graph = os.fspath(folder / "go.mod")
        run("mod", "edit", f"-replace={dependency}={source}", graph)
        yield [f"-modfile={graph}"]
