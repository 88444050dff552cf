"""`up`, `preview` and `down` of a stack: the machine, the engine and the cluster in the right order."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from infra import machine
from infra.config_schema import Access, Provider, Settings
from infra.edge import access_of, refusals
from infra.engine.toolset import Toolset
from infra.engine.workspace import StackFiles, stack_files
from infra.identity import ClusterIdentity
from infra.images import ensure_images, image_problems, unmade_problems
from infra.policies import Policies, policies_of
from infra.predictions import Address, Row, probe_address, reference_row, wait_for
from infra.settings import load_file
from infra.tls import authority_file
from tools import node, toolchain
from tools.paths import PROJECT
from tools.problem import ProblemError
from tools.progress import Progress

if TYPE_CHECKING:
    from infra.engine.session import Engine, Outcome, Program

COMMANDS = ("command:", "pulumi:providers:command")
"""Types of resources that live on this machine and not in the cluster."""


@dataclass(frozen=True)
class Job:
    """One stack with its validated settings, and where to speak to the user."""

    files: StackFiles
    settings: Settings
    console: Console

    @property
    def progress(self) -> Progress:
        """Progress on the same console."""
        return Progress(self.console)

    @property
    def identity(self) -> ClusterIdentity:
        """Which cluster the stack was deployed to."""
        return ClusterIdentity(self.files.work_folder / "cluster-uid", machine.kubectl(self.settings))


@dataclass(frozen=True)
class Served:
    """What `up` leaves running."""

    outcome: "Outcome"
    urls: dict[str, list[str]]
    curl: str
    """One command that asks a model as pasted; empty when no row is known."""
    ended: tuple[str, ...] = ()
    """Experiments that are over and stay so, each in a sentence."""


def job(stack: str, console: Console, project: Path = PROJECT) -> Job:
    """The stack with its settings; raises `ProblemError` with every problem of its config."""
    files = stack_files(stack, project)
    return Job(files, load_file(files.stack_file, stack), console)


def up(work: Job) -> Served:
    """Make the machine ready, deploy, and return when every URL answers.

    Raises:
        ProblemError: before anything starts, every problem of the machine; later, the one that stopped it.
        EngineError: a resource failed.
    """
    _refuse(work)
    tools = toolset(work, machine.tool_names(work.settings.cluster.provider))
    machine.prepare(work.settings, work.progress)
    ensure_images(work.settings, work.progress)
    with _opened(work, tools, policies_of(work.settings)) as engine:
        gone = machine.cluster_gone(work.settings) or work.identity.changed()
        if gone:
            _forget(engine, gone, (), work.console)
        # Before, because the run may be killed; after, because the program may make the cluster.
        work.identity.record()
        outcome = engine.up()
        work.identity.record()
    addresses = served_addresses(work, str(outcome.outputs["gateway_url"]))
    wait_for(addresses, work.progress)
    asked = (
        where.curl(row) for where, row in addresses.values() if row and where.method == "POST" and not where.refusals
    )
    curl = next(asked, "")
    return Served(outcome, dict(outcome.outputs.get("urls") or {}), curl, tuple(_ended(work)))


def preview(work: Job, on_output: Callable[[str], Any] | None) -> "Outcome":
    """What `up` would change; nothing is created, started or built but the tools of the engine."""
    if found := unmade_problems(work.settings, work.files.name):
        raise ProblemError(found)
    with _opened(work, toolset(work), policies_of(work.settings)) as engine:
        return engine.preview(on_output)


def down(work: Job, forget: bool) -> "Outcome":
    """Delete everything that the stack made; what was in the cluster is forgotten when the cluster is gone.

    `forget`: the user knows that the cluster is gone for good.
    """
    gone = "as you say" if forget else machine.cluster_gone(work.settings)
    tools = toolset(work)
    with _awake(work, gone is None), _opened(work, tools) as engine:
        if gone:
            _forget(engine, gone, COMMANDS, work.console)
        outcome = engine.destroy()
        work.identity.forget()
    return outcome


def purge(work: Job) -> None:
    """Delete the stack's history and work folder, and the node's data; call it after `down`."""
    with _opened(work, toolset(work)) as engine:
        engine.remove()
    shutil.rmtree(work.files.work_folder)
    if work.settings.cluster.provider is Provider.NODE:
        node.down(work.progress, purge=True)


def toolset(work: Job, names: tuple[str, ...] = toolchain.ENGINE, *, quiet: bool = False) -> Toolset:
    """The engine with its plugins, fetched or built where missing, together with the other `names`."""
    tools = toolchain.ensure(names, Progress(Console(quiet=True)) if quiet else work.progress)
    engine = {name: tools[name] for name in toolchain.ENGINE}
    return Toolset(engine["pulumi"].path, engine["pulumi"].version, toolchain.environment(engine))


def served_addresses(work: Job, gateway_url: str) -> dict[str, tuple[Address, Row | None]]:
    """Every URL that is reached from here, with a row to ask it with where one is known."""
    kubectl = machine.kubectl(work.settings)
    trusted = authority_file(work, kubectl)
    found: dict[str, tuple[Address, Row | None]] = {}
    for model in work.settings.models:
        if access_of(work.settings, model) is Access.INTERNAL or model.ingress is not None:
            continue
        row, guarded = reference_row(model, kubectl), refusals(work.settings, model)
        for version in (None, *(each.name for each in model.versions)):
            where = replace(probe_address(gateway_url, model, version), refusals=guarded, trusted=trusted)
            found[model.name if version is None else f"{model.name} {version}"] = (where, row)
    return found


def _ended(work: Job) -> list[str]:
    judged = [model.name for model in work.settings.models if model.experiment]
    if not judged:
        return []
    from infra import rollout_state, rollout_view

    found = rollout_state.look(machine.kubectl(work.settings), judged)
    return rollout_view.ended_sentences(list(found.values()))


def _refuse(work: Job) -> None:
    if found := [*machine.problems(work.settings), *image_problems(work.settings)]:
        raise ProblemError(found)


def _opened(work: Job, tools: Toolset, policies: Policies | None = None) -> AbstractContextManager["Engine"]:
    # Importing the engine's SDK and the components costs a second: only where they run.
    from infra.engine.session import opened

    return opened(work.files, _program(), tools, work.console, policies)


def _program() -> "Program":
    from infra.program import main

    return main


@contextmanager
def _awake(work: Job, exists: bool) -> Iterator[None]:
    """A stopped node keeps its objects on disk: it runs for the block, so that they can be deleted."""
    if not (exists and machine.asleep(work.settings)):
        yield
        return
    work.console.print("The node is stopped and keeps its objects: starting it to delete them.", markup=False)
    node.up(work.progress)
    try:
        yield
    finally:
        node.down(work.progress)


def _forget(engine: "Engine", why: str, kept: tuple[str, ...], console: Console) -> None:
    if count := engine.forget(kept):
        console.print(f"The cluster is gone ({why}): forgetting {count} resources that went with it.", markup=False)
