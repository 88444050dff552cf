"""The schema that `pulumi package get-schema ./components` gives."""

import json
import subprocess
from pathlib import Path

import pytest

from tools.paths import PROJECT
from tools.progress import Progress
from tools.toolchain import ENGINE, ensure, environment


@pytest.mark.engine
def test_the_engine_gives_the_committed_schema(tmp_path: Path) -> None:
    tools = ensure(ENGINE, Progress())
    answer = subprocess.run(
        ["pulumi", "package", "get-schema", "./components"],
        cwd=PROJECT,
        env={**environment(tools), "PULUMI_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(answer.stdout) == json.loads((PROJECT / "components/schema.json").read_text())
