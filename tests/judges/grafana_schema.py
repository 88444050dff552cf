"""Grafana's own types of dashboards and panels, as a JSON schema.

`@grafana/schema` is generated from the definitions in Grafana itself, in the version that is deployed. Options of panels
are open in its type of a dashboard; `grafana/schema.ts` closes them with the type of each kind of panel.
"""

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, ValidationError
from jsonschema.exceptions import best_match

from tools.paths import cache_dir
from tools.progress import Progress
from tools.toolchain import store

SOURCES = Path(__file__).with_name("grafana")
FILES = ("package.json", "package-lock.json", "schema.ts", "tsconfig.json")


def judge(dashboard: dict[str, Any]) -> list[str]:
    """What Grafana would not know of a dashboard: where, and the most telling reason."""
    return [_told(error) for error in Draft7Validator(schema()).iter_errors(dashboard)]


def _told(error: ValidationError) -> str:
    while error.context:
        error = best_match(error.context)
    return f"{error.json_path}: {error.message}"


@cache
def schema() -> dict[str, Any]:
    """The schema, made at first use and kept in the user's cache."""
    contents = [(SOURCES / name).read_bytes() for name in FILES]
    folder = cache_dir() / "checks" / f"grafana-{store.fingerprint(*contents)}"
    made = folder / "schema.json"
    with store.locked("grafana-schema", Progress()):
        if not made.exists():
            _make(folder, made)
    found: dict[str, Any] = json.loads(made.read_text())
    return found


def _make(folder: Path, made: Path) -> None:
    npm = shutil.which("npm")
    assert npm, "put Node and npm on PATH (https://nodejs.org)"
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copy(SOURCES / name, folder)
    _run(folder, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    program = folder / "node_modules/.bin/ts-json-schema-generator"
    options = ("--path", "schema.ts", "--tsconfig", "tsconfig.json", "--type", "OurDashboard")
    text = _run(folder, str(program), *options)
    made.with_suffix(".new").write_text(text)
    made.with_suffix(".new").rename(made)


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
