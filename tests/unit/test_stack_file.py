"""One line is written into a stack file, and every other byte stays."""

from pathlib import Path

import pytest
import yaml

from infra.stack_file import roll_back, written
from tests.unit.test_settings import DIGEST
from tools.problem import ProblemError

BLOCK = f"""# what we serve
config:
  modelway:cluster: {{provider: node}}
  modelway:models:
    # the first
    - name: iris  # known by everyone
      versions:
        - {{name: v1, image: "{DIGEST}", weight: 90}}
        - {{name: v2, image: "{DIGEST}", weight: 10}}  # since spring
    - name: wine
      versions: [{{name: v1, image: "{DIGEST}"}}]
"""
FLOW = BLOCK.replace("    - name: wine\n      versions: [", "    - {name: wine, versions: [").replace("}]\n", "}]}\n")


def differing(before: str, after: str) -> list[str]:
    return [line for line in after.splitlines() if line not in before.splitlines()]


def test_a_line_is_added_in_front_of_the_models_entry() -> None:
    text, line = written(BLOCK, "iris", "v1", "f")
    assert text.splitlines()[line - 1 : line + 1] == ["    - rollBackTo: v1", "      name: iris  # known by everyone"]
    assert text.replace("rollBackTo: v1\n      name", "name") == BLOCK
    assert yaml.safe_load(text)["config"]["modelway:models"][0]["rollBackTo"] == "v1"


def test_a_line_that_is_there_gets_another_value_and_nothing_else_changes() -> None:
    first, _ = written(BLOCK, "wine", "v1", "f")
    second, line = written(first, "wine", "v0", "f")
    assert differing(first, second) == ["    - rollBackTo: v0"]
    assert second.splitlines()[line - 1] == "    - rollBackTo: v0"


def test_a_flow_entry_and_windows_lines_keep_their_form() -> None:
    text, _ = written(FLOW, "wine", "v1", "f")
    assert "- {rollBackTo: v1, name: wine," in text
    windows, _ = written(BLOCK.replace("\n", "\r\n"), "iris", "v2", "f")
    assert windows.count("\r\n") == windows.count("\n") == BLOCK.count("\n") + 1


def test_a_model_that_the_file_does_not_have_is_one_sentence() -> None:
    with pytest.raises(ProblemError) as caught:
        written("config: {}\n", "iris", "v1", "Pulumi.x.yaml")
    assert [str(problem) for problem in caught.value.problems] == [
        "Pulumi.x.yaml: no entry of model iris: got none, allowed a list under modelway:models with this model; write "
        "rollBackTo yourself."
    ]


def test_a_file_that_would_be_refused_stays_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text(BLOCK)
    with pytest.raises(ProblemError, match="names no version of the split"):
        roll_back(file, "x", "iris", "v9")
    assert file.read_text() == BLOCK
    assert roll_back(file, "x", "iris", "v1") == 6
    assert [path.name for path in tmp_path.iterdir()] == ["Pulumi.x.yaml"]
