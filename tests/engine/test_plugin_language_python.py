"""The Python language host stand-in under the literal `pulumi` command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tools.paths import PROJECT

pytestmark = pytest.mark.engine
PROGRAM = """
import sys
import pulumi
import helper

print("printed by the program")
fail = pulumi.Config().get("fail")
if fail == "sentence":
    raise pulumi.RunError("models[0].image: got no digest.")
if fail == "fault":
    helper.fault()
pulumi.export("python", sys.prefix)
pulumi.export("stack", pulumi.get_stack())
pulumi.export("tools", "tools" in {name.split(".")[0] for name in sys.modules})
"""
COMPONENT = """
from typing import TypedDict

import pulumi
from pulumi.provider.experimental import component_provider_host


class RoomArgs(TypedDict):
    size: pulumi.Input[str]


class Room(pulumi.ComponentResource):
    def __init__(self, name: str, args: RoomArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("house:index:Room", name, {}, opts)


if __name__ == "__main__":
    component_provider_host([Room], "house")
"""


class Project:
    """A Pulumi project on disk, run by the command line."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        (folder / "backend").mkdir()
        self.environment = {**environment, "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}"}
        (folder / "venv").symlink_to(sys.prefix)
        (folder / "Pulumi.yaml").write_text("{name: literal, runtime: {name: python, options: {virtualenv: venv}}}")
        (folder / "__main__.py").write_text(PROGRAM)
        (folder / "helper.py").write_text('def fault():\n    raise KeyError("weights")\n')
        self.pulumi("stack", "init", "dev")

    def pulumi(self, *arguments: str, fails: bool = False) -> str:
        """Standard output of one command, which must end well, or not."""
        command = ["pulumi", *arguments, "--non-interactive"]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
        )
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def project(tmp_path: Path, environment: dict[str, str]) -> Project:
    """A project with one stack, `dev`."""
    return Project(tmp_path, environment)


def test_preview_up_and_destroy_run_the_program_with_its_own_interpreter(project: Project) -> None:
    assert "printed by the program" in project.pulumi("preview", "-s", "dev")
    assert "1 created" in project.pulumi("up", "-s", "dev", "--yes")
    outputs = json.loads(project.pulumi("stack", "output", "-s", "dev", "--json"))
    assert outputs == {"python": str(project.folder / "venv"), "stack": "dev", "tools": False}
    assert "1 deleted" in project.pulumi("destroy", "-s", "dev", "--yes")


def test_a_run_error_is_one_sentence_and_a_fault_shows_the_programs_own_lines(project: Project) -> None:
    project.pulumi("config", "set", "fail", "sentence", "-s", "dev")
    said = project.pulumi("preview", "-s", "dev", fails=True)
    assert "error: models[0].image: got no digest." in said
    assert "Traceback" not in said
    project.pulumi("config", "set", "fail", "fault", "-s", "dev")
    said = project.pulumi("preview", "-s", "dev", fails=True)
    assert "Program failed with an unhandled exception" in said
    assert "helper.fault()" in said
    assert "KeyError: 'weights'" in said
    assert "language_python.py" not in said
    assert str(PROJECT) not in said


def test_a_folder_of_components_answers_with_its_schema(project: Project) -> None:
    component = project.folder / "house"
    component.mkdir()
    (component / "PulumiPlugin.yaml").write_text("runtime: {name: python, options: {virtualenv: ../venv}}")
    (component / "__main__.py").write_text(COMPONENT)
    schema = json.loads(project.pulumi("package", "get-schema", "./house"))
    assert schema["name"] == "house"
    assert set(schema["resources"]) == {"house:index:Room"}


def test_what_it_does_not_do_is_said(project: Project) -> None:
    command = ["pulumi", "package", "gen-sdk", "./house", "--language", "python", "--non-interactive"]
    (project.folder / "house").mkdir()
    (project.folder / "house/PulumiPlugin.yaml").write_text("runtime: {name: python, options: {virtualenv: ../venv}}")
    (project.folder / "house/__main__.py").write_text(COMPONENT)
    done = subprocess.run(
        command, cwd=project.folder, env=project.environment, capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert "GeneratePackage is not served by the stand-in language host; install Pulumi" in done.stderr
