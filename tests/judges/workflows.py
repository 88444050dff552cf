"""actionlint's and zizmor's verdicts on workflows."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.judges import environment
from tools.progress import Progress
from tools.toolchain import ensure


def actionlint(files: Sequence[Path]) -> list[tuple[str, str]]:
    """Name of the file and rule of each finding; scripts are not linted: none here is longer than a command."""
    program = str(ensure(["actionlint"], Progress())["actionlint"].path)
    command = [program, "-shellcheck=", "-pyflakes=", "-format", "{{json .}}", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise AssertionError(done.stderr)
    return sorted((Path(found["filepath"]).name, found["kind"]) for found in json.loads(done.stdout))


def zizmor(files: Sequence[Path]) -> list[tuple[str, str]]:
    """Name of the file and audit of each finding; it asks no network."""
    program = str(environment.folder() / "bin/zizmor")
    command = [program, "--offline", "--no-config", "--no-exit-codes", "--no-progress", "--format", "json"]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=True)
    found = set()
    for finding in json.loads(done.stdout):
        for location in finding["locations"]:
            found.add((Path(location["symbolic"]["key"]["Local"]["verbatim_path"]).name, finding["ident"]))
    return sorted(found)
