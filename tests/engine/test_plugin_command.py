"""The Command stand-in through the real engine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi_command as command
import pytest

from tests.engine.conftest import Stack

pytestmark = pytest.mark.engine
TOKEN = "planted-word-4711"


def local(log: Path, hidden: str = "", **inputs: Any) -> Callable[[], None]:
    """A program with one command that notes in `log` what ran; the input named by `hidden` is a secret."""

    def program() -> None:
        if hidden:
            inputs[hidden] = pulumi.Output.secret({"NOTE": TOKEN} if hidden == "environment" else "echo")
        scripts = {key: f"cat; echo {key} >> {log}; echo $NOTE >&2" for key in ("create", "update", "delete")}
        own = command.local.Command("own", **{**scripts, "environment": {"NOTE": "aside"}, "stdin": "in", **inputs})
        pulumi.export("stdout", own.stdout)
        pulumi.export("stderr", own.stderr)

    return program


def test_scripts_run_on_create_update_replace_and_delete(stack: Stack, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert stack.up(local(log)) == {"create": 2}
    assert stack.outputs() == {"stdout": "in", "stderr": "aside"}
    assert stack.preview(local(log)) == {"same": 2}
    assert stack.up(local(log, stdin="other")) == {"same": 1, "update": 1}
    assert stack.outputs()["stdout"] == "other"
    assert stack.up(local(log, stdin="other", triggers=["new"])) == {"same": 1, "replace": 1}
    assert stack.destroy(local(log)) == {"delete": 2}
    assert log.read_text().split() == ["create", "update", "create", "delete", "delete"]


def test_what_a_command_prints_is_unknown_before_it_ran_and_secret_with_a_secret_input(
    stack: Stack, tmp_path: Path
) -> None:
    program = local(tmp_path / "log", "environment")
    stack.preview(program)
    assert any("stdout: [unknown]" in line for line in stack.said)
    stack.up(program)
    assert stack.outputs()["stderr"] == TOKEN
    assert TOKEN not in stack.stored() + "".join(stack.said)


def test_a_command_that_fails_says_its_status_and_error_without_secrets(stack: Stack, tmp_path: Path) -> None:
    program = local(tmp_path / "log", "environment", create="echo broken $NOTE >&2; exit 3")
    said = stack.refused("up", program)
    assert "the command ended with status 3: broken [secret]" in said
    assert TOKEN not in said


def test_what_is_not_served_is_refused_by_name(stack: Stack, tmp_path: Path) -> None:
    said = stack.refused("preview", local(tmp_path / "log", logging="stdout"))
    assert "command:local:Command: logging not served, allowed" in said
    said = stack.refused("preview", local(tmp_path / "log", "create"))
    assert "create holds a secret, which shows in process arguments" in said

    def run() -> None:
        command.local.run(command="true")

    assert "command:local:run is not served by the stand-in plugin" in stack.refused("preview", run)
