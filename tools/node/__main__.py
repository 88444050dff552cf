"""`python -m tools.node`: the one-node Kubernetes by hand."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from tools import node
from tools.node import lifecycle
from tools.node.layout import Layout
from tools.problem import ProblemError
from tools.progress import Progress

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="A real one-node Kubernetes on this machine (root, Linux)."
)


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except ProblemError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


@app.command()
def up() -> None:
    """Start the node, or heal it; does nothing when it runs well."""
    with _problems():
        state = node.up(Progress())
        typer.echo(f"export KUBECONFIG={state.kubeconfig}")


@app.command()
def down(
    check: Annotated[bool, typer.Option(help="Compare the machine with what it was before `up`.")] = False,
    purge: Annotated[bool, typer.Option(help="Delete the node's folder too: objects, images, certificates.")] = False,
) -> None:
    """Stop the node. Objects and images stay for the next `up`."""
    with _problems():
        progress = Progress()
        node.down(progress)
        if check and (left := node.left_behind(progress)):
            typer.echo("\n".join(left), err=True)
            raise typer.Exit(1)
        if purge:
            node.down(progress, purge=True)


@app.command()
def purge() -> None:
    """Stop the node and delete its folder."""
    with _problems():
        node.down(Progress(), purge=True)


@app.command()
def status() -> None:
    """Say whether the node runs, and what each process does; exit status 1 unless it is ready."""
    with _problems():
        state = node.status()
    typer.echo("ready" if state.ready else f"not ready: {state.reason}")
    for record in state.processes:
        typer.echo(
            f"  {record['name']:26} {record['state']:9} pid {record['outer_pid']:<8} restarts {record['restarts']}"
            + (f"  last {record['last_exit']}" if record["last_exit"] else "")
        )
    if not state.ready:
        raise typer.Exit(1)


@app.command(name="exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
def execute(command: Annotated[list[str], typer.Argument(help="The command and its arguments.")]) -> None:
    """Run a command inside the node's namespaces: `exec -- ip address`."""
    with _problems():
        _replace(lambda: lifecycle.enter(Layout.current(), command))


@app.command()
def logs(
    process: Annotated[
        str, typer.Argument(help="kube-apiserver, kubelet, etcd, containerd, …; `supervisor` for the rest.")
    ],
    lines: Annotated[int, typer.Option("--lines", "-n", help="How many.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until interrupted.")] = False,
) -> None:
    """Print the last lines of one process's log."""
    layout = Layout.current()
    path = layout.log_file(process)
    if not path.exists():
        known = ", ".join(sorted(log.stem for log in layout.log.glob("*.log"))) or "none yet"
        typer.echo(f"logs: no such process: got '{process}', allowed {known}; name one of these.", err=True)
        raise typer.Exit(1)
    _replace(lambda: ["tail", "--lines", str(lines), *(["--follow=name"] if follow else []), str(path)])


def _replace(command: Callable[[], list[str]]) -> None:
    """Become that command, so that signals and the exit status are its own."""
    arguments = command()
    os.execvp(arguments[0], arguments)  # noqa: S606


if __name__ == "__main__":
    app()
