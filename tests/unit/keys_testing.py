"""A kubectl that keeps one Secret in a folder."""

import base64
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from modelway.gateway import api_keys

from infra.keys import Store
from tools.problem import ProblemError

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KUBECTL = """#!{python}
import json, pathlib, sys
folder = pathlib.Path({folder!r})
state, stdin = json.loads((folder / "state").read_text()), sys.stdin.read()
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([sys.argv, stdin]) + "\\n")
if error := state["error"]:
    sys.exit(error)
if sys.argv[1] == "get":
    print(state["version"], end="")
    for name in state["data"]:
        print(f"\\ndata {{name}}", end="")
    for name, value in state["annotations"].items():
        print(f"\\nannotation {{name}} {{json.dumps(value)}}", end="")
    if rival := state["rivals"] and state["rivals"].pop():
        state["version"] += 1
        state["data"][rival] = "cml2YWw="
else:
    document = json.loads(stdin)
    if document["metadata"]["resourceVersion"] != str(state["version"]):
        sys.exit("Error from server (Conflict): the object has been modified")
    state["version"] += 1
    for part, new in ("data", document["data"]), ("annotations", document["metadata"]["annotations"]):
        merged = {{**state[part], **new}}
        state[part] = {{name: value for name, value in merged.items() if value is not None}}
(folder / "state").write_text(json.dumps(state))
"""


@dataclass(frozen=True)
class Cluster:
    """A kubectl that keeps one Secret in a folder, and what it was asked."""

    folder: Path

    @property
    def store(self) -> Store:
        return Store([str(self.folder / "kubectl")], "shop")

    @property
    def calls(self) -> list[tuple[list[str], str]]:
        file = self.folder / "calls"
        return [tuple(json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []

    def set(self, **fields: Any) -> None:
        (self.folder / "state").write_text(json.dumps({**self.state, **fields}))

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.folder / "state").read_text())
        return state

    @property
    def held(self) -> dict[str, str]:
        return {name: base64.b64decode(value).decode() for name, value in self.state["data"].items()}


def fake_cluster(tmp_path: Path) -> Cluster:
    """A cluster whose Secret is as Pulumi makes it."""
    program = tmp_path / "kubectl"
    program.write_text(KUBECTL.format(python=sys.executable, folder=str(tmp_path)))
    program.chmod(0o755)
    data = api_keys.api_keys_manifest("modelway-models")["data"]
    state = {"version": 7, "data": data, "annotations": {}, "rivals": [], "error": None}
    (tmp_path / "state").write_text(json.dumps(state))
    return Cluster(tmp_path)


def refusal(run: Any) -> str:
    """The one sentence that `run` is refused with."""
    with pytest.raises(ProblemError) as raised:
        run()
    (problem,) = raised.value.problems
    return str(problem)
