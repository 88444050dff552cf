"""What the commands of `modelway` share: the stack they mean, and how they speak."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from tools.problem import Problem, ProblemError

if TYPE_CHECKING:
    from rich.table import Table

    from infra.deploy import Job

PIPE_COLUMNS = 250

Stack = Annotated[str | None, typer.Argument(metavar="[STACK]", help="One of stacks/; local or node by default.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]


def job_of(stack: str | None) -> "Job":
    """The stack that the user means, with its settings."""
    from infra import deploy

    return deploy.job(chosen(stack), console())


def chosen(stack: str | None) -> str:
    """The name of the stack that the user means; says why where none was named."""
    from infra.choose import choose
    from tools.images.builder import docker_answers

    choice = choose(stack, docker_answers)
    if choice.reason:
        say(choice.reason)
    return choice.stack


def job_and_name(words: list[str], metavar: str) -> tuple["Job", str]:
    """The job and the name of `[STACK] NAME`; other numbers of words are a usage error."""
    if len(words) > 2:
        raise typer.BadParameter(f"got {len(words)} words, allowed {metavar}")
    return job_of(words[0] if len(words) == 2 else None), words[-1]


def confirm(work: "Job", yes: bool) -> None:
    """Ask before a production stack is changed; raises `ProblemError` where nobody can be asked."""
    if yes or work.settings.environment != "production":
        return
    if not sys.stdin.isatty():
        fix = "add --yes when you mean it"
        raise ProblemError([Problem(work.files.name, "a production stack", "nobody to ask", "a yes", fix)])
    typer.confirm(f"{work.files.name} is a production stack. Go on?", abort=True, err=True)


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
