"""What the documents say exists, and the commands in them run."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from sklearn.datasets import load_iris
from typer.main import get_command

from infra.cli import app
from infra.config_schema import Settings
from infra.settings import load

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    path
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "pipeline/*.md",
        "policies/*.md",
        "images/*/*.md",
        "tools/*/*.md",
        "examples/**/*.md",
    )
    for path in PROJECT.glob(pattern)
)
README = (PROJECT / "README.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_link_leads_to_a_file(document: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_make_target_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", document.read_text(), re.MULTILINE))
    assert named <= targets


def test_every_command_of_modelway_exists() -> None:
    command = get_command(app)
    named = set(re.findall(r"`modelway ([a-z]+)", README))
    assert named <= set(getattr(command, "commands"))  # noqa: B009


def test_the_config_table_has_exactly_the_keys_of_the_project() -> None:
    documented = set(re.findall(r"^\| `modelway:(\w+)`", README, re.MULTILINE))
    declared = set(yaml.safe_load((PROJECT / "Pulumi.yaml").read_text())["config"])
    accepted = {field.alias or name for name, field in Settings.model_fields.items()}
    assert documented == declared == accepted


def test_the_components_table_has_every_component() -> None:
    import modelway

    rows = re.findall(r"^\| (`[A-Z]\w+`(?:, `[A-Z]\w+`)*) \|", README, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == modelway.COMPONENTS


def test_the_lines_for_a_model_of_ones_own_run_as_written(tmp_path: Path) -> None:
    (block,) = re.findall(r"## Your own model\n\n```sh\n(.*?)```", README, re.DOTALL)
    lines = [shlex.split(line) for line in block.replace("\\\n", " ").splitlines()]
    assert [line[:4] for line in lines] == [
        [".venv/bin/python", "-m", "pipeline", step] for step in ("train", "evaluate", "package")
    ]
    iris = load_iris(as_frame=True).frame
    iris["species"] = iris.pop("target")
    iris.to_csv(tmp_path / "iris.csv", index=False)
    for line in lines[:2]:
        result = subprocess.run(
            [sys.executable, *line[1:]],
            cwd=tmp_path,
            env={"PYTHONPATH": str(PROJECT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr


def test_the_stack_configs_of_the_edge_are_accepted() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (PROJECT / "docs/edge.md").read_text(), re.DOTALL)
    whole, part = (yaml.safe_load(block) for block in blocks)
    part["modelway:gateway"] = {**whole["modelway:gateway"], **part["modelway:gateway"]}
    image = whole["modelway:models"][0]["versions"][0]["image"]
    whole["modelway:images"] = {"gateway": image, "prometheus": image}
    assert load(whole, "x").models[0].name == "iris"
    assert load(whole | part, "x").gateway.auth is not None
