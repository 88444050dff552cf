"""A stack of the Automation API that starts the engine once per operation."""

import datetime
import json
from collections.abc import Mapping
from typing import Any, Self

from pulumi.automation import LocalWorkspace, OutputMap, OutputValue, Stack, UpdateSummary, Workspace
from pulumi.automation._stack import StackInitMode  # the public constructors make a plain `Stack`

HIDDEN = "[secret]"
"""What the engine prints in place of a secret output."""


class StateWorkspace(LocalWorkspace):
    """Selects a stack by reading its state, which fails in the same way when there is no such stack.

    Every operation names its stack, so that a selection of its own would only be one more start of the engine.
    """

    exported: Mapping[str, Any]
    """The deployment with secrets encrypted, as it was when the stack was selected; empty for a new stack."""

    def create_stack(self, stack_name: str) -> None:
        """Create the stack."""
        super().create_stack(stack_name)
        self.exported = {}

    def select_stack(self, stack_name: str) -> None:
        """Read the state of the stack."""
        arguments = ["stack", "export", "--stack", stack_name]
        self.exported = json.loads(self.pulumi_command.run(arguments, self.work_dir, self.env_vars).stdout)


class LeanStack(Stack):
    """A stack whose operations do not ask the engine, started anew each time, for history and for secrets in plain."""

    @classmethod
    def create_or_select(cls, stack_name: str, workspace: Workspace) -> Self:
        """The stack, created on first use."""
        return cls(stack_name, workspace, StackInitMode.CREATE_OR_SELECT)

    @classmethod
    def select(cls, stack_name: str, workspace: Workspace) -> Self:
        """The stack; raises `StackNotFoundError` when there is none."""
        return cls(stack_name, workspace, StackInitMode.SELECT)

    def outputs(self) -> OutputMap:
        """The outputs, secrets as `HIDDEN`."""
        arguments = ["stack", "output", "--json", "--stack", self.name]
        workspace = self.workspace
        shown = json.loads(workspace.pulumi_command.run(arguments, workspace.work_dir, workspace.env_vars).stdout)
        return {name: OutputValue(value, value == HIDDEN) for name, value in shown.items()}

    def info(self, show_secrets: bool = True) -> UpdateSummary:  # noqa: ARG002 - the Automation API's signature
        """A summary without content: events tell what a run did."""
        return UpdateSummary("", datetime.datetime.min, "", {}, {}, "")
