"""One stack opened for work: `up`, `preview`, `destroy` with live progress, and what a killed run left healed."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.automation import (
    CommandError,
    Deployment,
    OnEvent,
    OutputMap,
    StackNotFoundError,
)
from rich.console import Console

from infra.cost_estimate import Resource
from infra.engine import locks
from infra.engine.backend import Backend, backend
from infra.engine.command import EngineCommand
from infra.engine.display import display
from infra.engine.events import Change, Recorder, title
from infra.engine.failures import CancelledError, failure
from infra.engine.home import quiet_home
from infra.engine.pending import adopted, describe, forgotten, pending_creates
from infra.engine.stack import LeanStack, StateWorkspace
from infra.engine.toolset import Toolset
from infra.engine.workspace import ENCRYPTION_KEYS, StackFiles, prepare
from infra.policies import Policies, advice_lines
from tools.problem import Problem, ProblemError

Program = Callable[[], None]
PROJECT_NAME = "modelway"


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    counts: Mapping[str, int]
    """Resources by operation: `create`, `update`, `delete`, `replace`, `same`."""
    seconds: float
    changes: tuple[Change, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """Stack outputs by name, secrets left out."""
    resources: tuple[Resource, ...] = ()
    """Everything that the stack has when a planned run is done."""


class Engine:
    """The engine on one stack. Made by `opened`."""

    def __init__(
        self,
        stack: LeanStack,
        state: Mapping[str, Any],
        command: EngineCommand,
        console: Console,
        policies: Policies | None = None,
    ) -> None:
        self._stack = stack
        self._state = state
        self._command = command
        self._console = console
        self._policies = policies
        self._packs = [str(policies.pack)] if policies else None

    def up(self) -> Outcome:
        """Bring the cluster to what the program says; policies that stop a run stop it before anything is created.

        Raises:
            EngineError: the program or a resource failed, one text per cause.
            ProblemError: a known cause with its fix.
            CancelledError: the user cancelled.
        """
        self._finish_pending()
        if self._policies and self._policies.stop:
            # An update judges each resource when its turn comes, and the stack as a whole when all is done.
            self._say("Checking the policies before anything is created.")
            self._run("up", lambda on_event: self._stack.preview(on_event=on_event, policy_packs=self._packs))
        outputs: OutputMap = {}

        def run(on_event: OnEvent) -> None:
            done = self._stack.up(
                on_event=on_event, show_secrets=False, suppress_outputs=True, policy_packs=self._packs
            )
            outputs.update(done.outputs)

        done = self._run("up", run)
        return Outcome(done.counts, done.seconds, done.changes, public(outputs))

    def preview(self, on_output: Callable[[str], Any] | None = None) -> Outcome:
        """What `up` would change; `on_output` gets the engine's own detailed diff. Raises as `up` does."""
        return self._run(
            "preview",
            lambda on_event: self._stack.preview(
                diff=on_output is not None, on_output=on_output, on_event=on_event, policy_packs=self._packs
            ),
        )

    def destroy(self) -> Outcome:
        """Delete every resource of the stack, or none where one of them is protected. Raises as `up` does."""
        self._refuse_protected()
        self._finish_pending()
        return self._run("down", lambda on_event: self._stack.destroy(on_event=on_event, show_secrets=False))

    def remove(self) -> None:
        """Delete the empty stack with its history from the backend."""
        self._stack.workspace.remove_stack(self._stack.name)

    def forget(self, kept: tuple[str, ...] = ()) -> int:
        """Drop resources from the state without asking their cluster, which is gone; returns how many.

        `kept`: prefixes of the types that stay, with the stack itself and its components.
        """
        deployment = self._state.get("deployment") or {}
        before = list(deployment.get("resources") or ())
        left = forgotten(before, kept)
        if len(left) < len(before) or deployment.get("pending_operations"):
            deployment = {**deployment, "resources": left, "pending_operations": []}
            self._import(deployment)
        return len(before) - len(left)

    def _run(self, name: str, operation: Callable[[OnEvent], object]) -> Outcome:
        command = f"modelway {name} {self._stack.name}"
        started = time.monotonic()
        with display(self._console) as shown:
            recorder = Recorder(shown)
            try:
                operation(recorder)
            except CommandError as error:
                if self._command.cancels:
                    raise CancelledError(command) from None
                raise failure(error, recorder.errors, self._stack.name, command) from error
        for line in advice_lines(recorder.advice):
            self._say(line)
        seconds, resources = time.monotonic() - started, tuple(recorder.resources.values())
        return Outcome(dict(recorder.counts), seconds, tuple(recorder.changes), resources=resources)

    def _refuse_protected(self) -> None:
        # The engine would delete everything up to the first of them, and leave a cluster that serves nothing.
        resources = (self._state.get("deployment") or {}).get("resources") or ()
        if kept := sorted(each["urn"].rpartition("::")[2] for each in resources if each.get("protect")):
            what, got = "resources are protected from deletion", ", ".join(kept)
            fix = f"set modelway:environment to staging and run `modelway up {self._stack.name}` first, if all may go"
            raise ProblemError([Problem(f"stack {self._stack.name}", what, got, "a stack without any", fix)])

    def _finish_pending(self) -> None:
        deployment = self._state.get("deployment") or {}
        if not deployment.get("pending_operations"):
            return
        pending = pending_creates(deployment)
        if pending.forget:
            self._say(f"A killed run was creating {describe(pending.forget, title)}: starting over with these.")
        self._import(adopted(deployment, pending))
        if pending.adopt:
            self._say(f"A killed run was creating {describe(pending.adopt, title)}: looking for what it left.")
            urns = list(pending.adopt)
            # Reads each of them, and drops from the state those that the cluster does not have.
            self._run("up", lambda on_event: self._stack.refresh(target=urns, on_event=on_event, show_secrets=False))

    def _import(self, deployment: Mapping[str, Any]) -> None:
        self._stack.import_stack(Deployment(self._state["version"], deployment))
        self._state = {**self._state, "deployment": deployment}

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False)


@contextmanager
def opened(
    files: StackFiles, program: Program, tools: Toolset, console: Console, policies: Policies | None = None
) -> Iterator[Engine]:
    """Open the stack of `files` for work, creating it on first use; one process at a time.

    Raises:
        ProblemError: the passphrase or the lock stands in the way.
    """
    with locks.exclusive(files.work_folder, files.name):
        prepare(files)
        used = chosen_backend(files)
        console.print(used.sentence, markup=False)
        record = files.work_folder / "engine.pid"
        if used.folder:
            locks.heal(used.folder, PROJECT_NAME, files.name, record, lambda text: console.print(text, markup=False))
        command = EngineCommand(tools.executable, tools.version, record, lambda count: _on_cancel(console, count))
        workspace = _workspace(files, program, tools, used, command)
        try:
            stack = LeanStack.create_or_select(files.name, workspace)
            yield Engine(stack, workspace.exported, command, console, policies)
        except CommandError as error:
            again = f"modelway up {files.name}"
            raise (CancelledError(again) if command.cancels else failure(error, (), files.name, again)) from error


def stack_outputs(files: StackFiles, tools: Toolset) -> Mapping[str, Any] | None:
    """The outputs of the last `up`, secrets left out; None when the stack was never created.

    Takes no lock: it can run beside an `up`.
    """
    if not files.work_stack_file.exists():
        prepare(files)
    command = EngineCommand(tools.executable, tools.version, files.work_folder / "reader.pid", lambda _count: None)
    workspace = _workspace(files, lambda: None, tools, chosen_backend(files), command)
    try:
        return public(LeanStack.select(files.name, workspace).outputs())
    except StackNotFoundError:
        return None
    except CommandError as error:
        raise failure(error, (), files.name, f"modelway status {files.name}") from error


def public(outputs: OutputMap) -> dict[str, Any]:
    """The outputs that are no secrets."""
    return {name: output.value for name, output in outputs.items() if not output.secret}


def chosen_backend(files: StackFiles) -> Backend:
    """The backend of a stack, by the environment and its own file."""
    text = files.stack_file.read_text()
    encrypts_itself = any(line.startswith(ENCRYPTION_KEYS[0] + ":") for line in text.splitlines())
    return backend(os.environ, encrypts_itself)


def _workspace(
    files: StackFiles, program: Program, tools: Toolset, used: Backend, command: EngineCommand
) -> StateWorkspace:
    def run_program() -> None:
        try:
            program()
        except ProblemError as error:
            raise pulumi.RunError(str(error)) from None  # the engine prints a RunError without a traceback

    return StateWorkspace(
        work_dir=str(files.work_folder),
        program=run_program,
        env_vars={
            **tools.environment,
            **used.environment,
            "PULUMI_HOME": str(quiet_home({**os.environ, **tools.environment})),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        },
        pulumi_command=command,
    )


def _on_cancel(console: Console, count: int) -> None:
    text = (
        "Cancelling: the running steps finish first; press Ctrl-C again to stop at once."
        if count == 1
        else "Stopping at once; the next run repairs what is left."
    )
    console.print(text, markup=False)
