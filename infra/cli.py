"""The command line `modelway`."""

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from infra import cli_cost, cli_keys, cli_models, cli_rollout, cli_status
from infra.cli_common import AsJson, Stack, confirm, console, job_and_name, job_of, print_json, print_table, say
from tools.paths import state_dir
from tools.problem import ProblemError

EXAMPLES = """
Examples:

  modelway up                                  deploy to this machine (kind where Docker answers, else one node)

  modelway preview node --diff                 what `up` would change, in detail

  modelway predict node breast-cancer          one prediction through the gateway, with a real row

  modelway predict breast-cancer --version v2 --row row.json

  modelway keys add node acme                  a key for the client acme, printed once

  modelway cost aws-production --load 50       what a month costs, and 1,000 predictions

  modelway models lock node                    pin what models:/NAME@ALIAS stands for

  modelway status                              what is served, how well, what drifts and which alerts fire

  modelway rollout status --watch              what the judge of an experiment knows, live

  modelway rollout rollback breast-cancer --to v1

  modelway down                                delete what `up` made
"""
CANCELLED = 130
"""Exit status of a run that Ctrl-C ended, by the convention of shells."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Turns a list of model versions into a running, observed, guarded prediction service.",
    epilog=EXAMPLES,
)
nodes = typer.Typer(no_args_is_help=True, help="The one-node Kubernetes of this machine (Linux, root).")
app.add_typer(nodes, name="node")
app.command()(cli_cost.cost)
app.add_typer(cli_keys.commands, name="keys")
app.add_typer(cli_models.commands, name="models")
app.add_typer(cli_rollout.commands, name="rollout")


@app.command()
def doctor(stack: Stack = None, as_json: AsJson = False) -> None:
    """Print every tool and every problem of this machine; exit status 1 when something blocks `up`."""
    from infra import doctor as doctoring

    work = job_of(stack)
    diagnosis = doctoring.diagnose(work.files.name, work.settings)
    if as_json:
        print_json(doctoring.as_json(diagnosis))
    else:
        print_table(doctoring.table(diagnosis))
    if diagnosis.problems:
        raise ProblemError(diagnosis.problems)
    say("Nothing blocks `modelway up`.")


@app.command()
def up(
    stack: Stack = None, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, in production.")] = False
) -> None:
    """Deploy a stack and print its URLs; gets every missing tool first."""
    from infra import deploy
    from infra.engine.display import summary

    work = job_of(stack)
    confirm(work, yes)
    served = deploy.up(work)
    say(summary(served.outcome.counts, served.outcome.seconds))
    for urls in served.urls.values():
        typer.echo("\n".join(urls))
    if served.curl:
        typer.echo(f"\n{served.curl}")
    for sentence in served.ended:
        typer.echo(sentence)


@app.command()
def preview(
    stack: Stack = None,
    diff: Annotated[bool, typer.Option("--diff", help="Show every property that changes.")] = False,
    as_json: AsJson = False,
    ask_registry: Annotated[
        bool, typer.Option("--ask-registry", help="Say which aliases of the models lock have moved on.")
    ] = False,
) -> None:
    """Print what `up` would change; creates nothing."""
    from infra import deploy
    from infra.engine.display import preview_lines, summary
    from infra.engine.events import as_json as change_json

    work = job_of(stack)
    if ask_registry:
        cli_models.say_moved(work)
    outcome = deploy.preview(work, typer.echo if diff and not as_json else None)
    if as_json:
        changes = [change_json(change) for change in outcome.changes]
        print_json({"changes": changes, "counts": dict(outcome.counts), "seconds": round(outcome.seconds, 1)})
    else:
        for line in () if diff else preview_lines(outcome.changes):
            typer.echo(line)
        typer.echo("Preview: " + summary(outcome.counts, outcome.seconds, planned=True))
    cli_cost.keep_budget(work, outcome)


@app.command()
def down(
    stack: Stack = None,
    purge: Annotated[bool, typer.Option("--purge", help="Delete the stack's history and the node's data too.")] = False,
    forget: Annotated[bool, typer.Option("--forget", help="The cluster is gone for good: do not ask it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, in production.")] = False,
) -> None:
    """Delete what `up` made in the cluster; the node and its images stay for the next `up`."""
    from infra import deploy, keys
    from infra.engine.display import summary

    work = job_of(stack)
    if lost := not forget and keys.lost_with(work):
        say(lost)
    confirm(work, yes)
    outcome = deploy.down(work, forget)
    say(summary(outcome.counts, outcome.seconds))
    if purge:
        deploy.purge(work)


app.command()(cli_status.status)


@app.command()
def predict(
    words: Annotated[list[str], typer.Argument(metavar="[STACK] MODEL", help="The model, after its stack if any.")],
    version: Annotated[str | None, typer.Option(help="One version instead of the weighted split.")] = None,
    row: Annotated[str | None, typer.Option(help="A file, JSON, or - for standard input.")] = None,
    by: Annotated[str, typer.Option(help="How to name the version: path or header.")] = "path",
) -> None:
    """Print one prediction of a served model as JSON; without --row it asks with a real row.

    A keyed model takes its key or token from the variable MODELWAY_API_KEY.
    """
    from infra import asking

    if by not in ("path", "header"):
        raise typer.BadParameter(f"--by: got '{by}', allowed path or header")
    work, model = job_and_name(words, "[STACK] MODEL")
    print_json(asking.predict(work, model, version, row, by))


@nodes.command("up")
def node_up() -> None:
    """Start the one-node Kubernetes, or heal it."""
    from tools import node

    state = node.up(_progress())
    say(f"The node is ready. KUBECONFIG={state.kubeconfig}")


@nodes.command("down")
def node_down(
    purge: Annotated[bool, typer.Option("--purge", help="Delete its objects and images too.")] = False,
) -> None:
    """Stop the one-node Kubernetes; its objects and images stay for the next `up`."""
    from tools import node

    node.down(_progress(), purge=purge)


@nodes.command("status")
def node_status() -> None:
    """Say whether the one-node Kubernetes runs; exit status 1 unless it is ready."""
    from tools import node

    state = node.status()
    typer.echo("The node is ready." if state.ready else f"The node is not ready: {state.reason}.")
    if not state.ready:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line."""
    guarded(app)


def guarded(run: Callable[[], object]) -> None:
    """Run `run`; every failure ends as sentences on standard error and an exit status, never as a traceback."""
    try:
        with _failures():
            run()
    except SystemExit as end:
        _flush()
        if end.code == CANCELLED:
            # A cancelled engine can leave threads of the program waiting; they must not hold the process.
            os._exit(CANCELLED)
        raise


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except ProblemError as error:
        _complain(str(problem) for problem in error.problems)
    except SystemExit as end:
        if end.code == CANCELLED:  # So typer ends a command that Ctrl-C interrupted before or after the engine's run.
            say("Cancelled; nothing is lost: run the same command again to go on.")
        raise
    except Exception as error:
        _unexpected(error)


def _unexpected(error: Exception) -> None:
    # Imported late: only a command that ran the engine can raise these, and importing it costs a second.
    failures = sys.modules.get("infra.engine.failures")
    if failures and isinstance(error, failures.CancelledError):
        say(f"Cancelled; nothing is lost: run `{error}` again to go on.")
        raise SystemExit(CANCELLED) from None
    if failures and isinstance(error, failures.EngineError):
        extra = [f"The program's traceback is in {_log(error.traceback_text)}."] if error.traceback_text else []
        _complain([*error.causes, *extra])
    place = _log("".join(traceback.format_exception(error)))
    text = (str(error) or type(error).__name__).splitlines()[0]
    _complain([f"modelway: unexpected {type(error).__name__}: {text}; the traceback is in {place}."])


def _complain(sentences: Any) -> None:
    _flush()
    for sentence in sentences:
        typer.echo(sentence, err=True)
    raise SystemExit(1) from None


def _log(text: str) -> str:
    folder = state_dir() / "logs"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}.log"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a") as stream:
        stream.write(f"{' '.join(sys.argv)}\n{text}\n")
    return str(file)


def _progress() -> Any:
    from tools.progress import Progress

    return Progress(console())


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


if __name__ == "__main__":
    main()
