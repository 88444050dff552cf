"""What the commands of `modelway` share: the stack they mean, and how they speak."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

if TYPE_CHECKING:
    from rich.table import Table

    from infra.deploy import Job

PIPE_COLUMNS = 250

Stack = Annotated[str | None, typer.Argument(metavar="[STACK]", help="One of stacks/; local or node by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def job_of(stack: str | None) -> "Job":
    """The stack that the user means, with its settings."""
    from infra import deploy
    from infra.choose import choose
    from tools.images.builder import docker_answers

    choice = choose(stack, docker_answers)
    if choice.reason:
        say(choice.reason)
    return deploy.job(choice.stack, console())


def job_and_name(words: list[str], metavar: str) -> tuple["Job", str]:
    """The job and the name of `[STACK] NAME`; other numbers of words are a usage error."""
    if len(words) > 2:
        raise typer.BadParameter(f"got {len(words)} words, allowed {metavar}")
    return job_of(words[0] if len(words) == 2 else None), words[-1]


def console() -> Console:
    """Standard error, for people."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """Print a sentence for people on standard error."""
    typer.echo(text, err=True)


def print_json(value: Any) -> None:
    """Print a result for programs."""
    typer.echo(json.dumps(value, indent=2))


def print_table(table: "Table") -> None:
    """Print a result for people."""
    # A pipe has no width: nothing is folded or cut there.
    Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS).print(table)
