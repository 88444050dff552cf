"""The commands `modelway models …`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli_common import AsJson, Stack, chosen, print_json, print_table, say

if TYPE_CHECKING:
    from rich.table import Table

    from infra.config_schema import Settings
    from infra.deploy import Job
    from infra.engine.workspace import StackFiles
    from infra.registries import Registered
    from infra.registry_lock import Lock

commands = typer.Typer(no_args_is_help=True, help="Registered models: pin what `models:/…` stands for, list.")
STALE = 1
"""Exit status of `lock --check` when the lock is not what the registry says."""


@commands.command()
def lock(
    stack: Stack = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit status 1 when the lock is not up to date.")
    ] = False,
) -> None:
    """Ask the registry what each `models:/…` of a stack stands for and pin version and sha256 in its lock file.

    Every file is read and checked. The signed evaluation report beside an artifact goes to stacks/evaluations. Commit
    both: preview and up read them and never ask the registry.
    """
    from infra import registry_lock as locks
    from infra import registry_resolving as resolving
    from infra.registries import registry_of

    files, settings = _written(stack)
    file = locks.lock_file(files.stack_file)
    uris, before = resolving.wanted(settings), locks.read(file)
    resolved = resolving.resolve(registry_of(settings), uris, before) if uris else []
    after = {each.uri: each.model for each in resolved}
    changes = resolving.changes(before, after)
    for line in changes:
        typer.echo(line)
    if not changes:
        say(f"{file.name} is up to date.")
    elif check:
        raise typer.Exit(STALE)
    else:
        locks.write(file, after)
        say(f"{file.name} is written: commit it.")
    if not check:
        for name in resolving.keep_reports(resolved):
            say(f"stacks/evaluations/{name} is written: commit it.")


@commands.command("list")
def show(stack: Stack = None, as_json: AsJson = False) -> None:
    """Print the registered models with versions and aliases, and what the stack's lock pins."""
    from infra import registry_lock as locks
    from infra import registry_resolving as resolving
    from infra.registries import RegistryError, registry_of
    from tools.problem import ProblemError

    files, settings = _written(stack)
    registry, pinned = registry_of(settings), locks.read(locks.lock_file(files.stack_file))
    try:
        found = [each for name in registry.names() for each in registry.versions(name)]
    except RegistryError as error:
        raise ProblemError([resolving.unreachable(registry, error)]) from None
    if as_json:
        print_json([as_json_line(each, pinned) for each in found])
        return
    print_table(_table(found, pinned))
    say(f"Registry: {registry.label}.")


def say_moved(work: "Job") -> None:
    """Say which aliases of the stack's lock stand for other versions by now; a silent registry stops nothing."""
    from infra import registry_lock as locks
    from infra import registry_resolving as resolving
    from infra.registries import RegistryError, registry_of

    registry, pinned = registry_of(work.settings), locks.read(locks.lock_file(work.files.stack_file))
    try:
        found = resolving.moved(registry, pinned)
    except RegistryError as error:
        say(str(resolving.unreachable(registry, error)))
        return
    for each in found:
        now = f"stands for version {each.now} now" if each.now else "stands for nothing any more"
        say(f"{each.uri} {now}, the lock has {each.locked}: `modelway models lock {work.files.name}` takes it over.")
    if not found:
        say(f"No alias of the lock has moved on in {registry.label}.")


def _written(stack: str | None) -> tuple["StackFiles", "Settings"]:
    """The stack that the user means, as its file has it: its lock may not know its models yet."""
    from infra.engine.workspace import stack_files
    from infra.registries import registry_problems
    from infra.settings import as_written
    from tools.problem import ProblemError

    files = stack_files(chosen(stack))
    settings = as_written(files.stack_file)
    if problems := registry_problems(settings):
        raise ProblemError(problems)
    return files, settings


def as_json_line(version: "Registered", pinned: "Lock") -> dict[str, Any]:
    """A registered version as plain data."""
    return {
        "model": version.name,
        "version": version.version,
        "aliases": list(version.aliases),
        "source": version.source,
        "locked": _locked(version, pinned),
    }


def _locked(version: "Registered", pinned: "Lock") -> list[str]:
    from infra.registry_lock import REGISTRY_URI

    return [
        uri
        for uri, model in pinned.models.items()
        if (match := REGISTRY_URI.fullmatch(uri)) and (match["name"], model.version) == (version.name, version.version)
    ]


def _table(found: list["Registered"], pinned: "Lock") -> "Table":
    from rich.table import Table

    table = Table("model", "version", "aliases", "locked by this stack", box=None, pad_edge=False)
    for each in found:
        table.add_row(each.name, each.version, ", ".join(each.aliases), ", ".join(_locked(each, pinned)))
    return table
