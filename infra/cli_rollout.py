"""The commands `modelway rollout …`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli_common import AsJson, Stack, confirm, job_and_name, job_of, print_json, say
from tools.problem import Problem, ProblemError

if TYPE_CHECKING:
    from infra.config_schema import ModelSettings
    from infra.deploy import Job
    from infra.rollout_state import Rollout

METAVAR = "[STACK] MODEL"
WATCH_SECONDS = 2.0

commands = typer.Typer(no_args_is_help=True, help="Experiments: what the judge knows and does, and what it is told.")
Words = Annotated[list[str], typer.Argument(metavar=METAVAR, help="The model, after its stack if any.")]
Reason = Annotated[str, typer.Option(help="Why, for the history of the experiment.")]


@commands.command()
def status(
    stack: Stack = None,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it anew until Ctrl-C.")] = False,
) -> None:
    """Print weights, samples, effect with its interval, evidence and verdict of each model."""
    from rich.console import Console
    from rich.live import Live

    from infra import rollout_state, rollout_view

    if watch and as_json:
        raise typer.BadParameter("--watch: got --json with it, allowed one of the two")
    work = job_of(stack)
    kubectl = rollout_state.kubectl_of(work)
    models = [model.name for model in work.settings.models]
    found = rollout_state.look(kubectl, models)
    if as_json:
        print_json([rollout_view.as_json(rollout) for rollout in found.values()])
        return
    if not watch:
        Console(soft_wrap=True).print(rollout_view.shown(list(found.values()), time.time()))
        return
    with Live(rollout_view.shown(list(found.values()), time.time()), console=Console()) as live:
        while True:
            time.sleep(WATCH_SECONDS)
            found = rollout_state.look(kubectl, models)
            live.update(rollout_view.shown(list(found.values()), time.time()), refresh=True)


@commands.command()
def promote(words: Words, reason: Reason = "") -> None:
    """Give the candidate everything and end the experiment."""
    _command(*job_and_name(words, METAVAR), "promote", reason)


@commands.command()
def advance(words: Words, reason: Reason = "") -> None:
    """Give the candidate the weight of the next step; after the last one it is promoted."""
    _command(*job_and_name(words, METAVAR), "advance", reason)


@commands.command()
def rollback(
    words: Words,
    to: Annotated[str | None, typer.Option(help="The version that gets everything; the champion by default.")] = None,
    reason: Reason = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, in production.")] = False,
) -> None:
    """Give a version everything: by the judge of its experiment, else by a line in the stack file and `up`."""
    from infra import rollout_state

    work, model = job_and_name(words, METAVAR)
    versions = [version.name for version in _model(work, model).versions if not version.shadow]
    if to is not None and to not in versions:
        raise ProblemError(
            [Problem("--to", "names no version of the split", repr(to), ", ".join(versions), "name one")]
        )
    if rollout_state.look(rollout_state.kubectl_of(work), [model])[model].plan:
        _command(work, model, "rollback", reason, to)
        return
    if to is None:
        what, fix = f"{model} has no experiment, so no champion", "add --to VERSION"
        raise ProblemError([Problem("--to", what, "nothing", ", ".join(versions), fix)])
    confirm(work, yes)
    _by_config(work, model, to)


@commands.command()
def pause(words: Words, reason: Reason = "") -> None:
    """Keep the weights as they are; harm still rolls back where the mode lets it."""
    _command(*job_and_name(words, METAVAR), "pause", reason)


@commands.command()
def resume(words: Words, reason: Reason = "") -> None:
    """Go on after `pause`."""
    _command(*job_and_name(words, METAVAR), "resume", reason)


@commands.command()
def restart(words: Words, reason: Reason = "") -> None:
    """Start the experiment again, from the first step and without evidence."""
    _command(*job_and_name(words, METAVAR), "restart", reason)


@commands.command()
def report(
    words: Words,
    out: Annotated[Path | None, typer.Option(help="The file; MODEL-rollout.html here by default.")] = None,
) -> None:
    """Write the experiment, with its plots and its history, into one HTML file that needs nothing else."""
    from infra import rollout_report, rollout_state

    work, model = job_and_name(words, METAVAR)
    _model(work, model)
    rollout = rollout_state.look(rollout_state.kubectl_of(work), [model])[model]
    if not rollout.plan:
        raise ProblemError([_no_experiment(work, model)])
    file = out or Path(f"{model}-rollout.html")
    file.write_text(rollout_report.report(rollout, work.files.name, time.time()), encoding="utf-8")
    typer.echo(str(file))


def _command(work: "Job", model: str, command: str, reason: str, version: str | None = None) -> None:
    from infra import rollout_state, rollout_view

    _model(work, model)
    kubectl = rollout_state.kubectl_of(work)
    if not rollout_state.look(kubectl, [model])[model].plan:
        raise ProblemError([_no_experiment(work, model)])
    say(f"Asking the judge of {model}: {command}.")
    done = rollout_state.answered(kubectl, model, rollout_state.send(kubectl, model, command, version, reason))
    _refused(done, command)
    state = done.state
    if state is not None:
        say(f"{model}: {rollout_view.status_text(state, time.time())}; {rollout_view.weights_text(state.weights)}.")


def _refused(done: "Rollout", command: str) -> None:
    last = done.state.history[-1] if done.state and done.state.history else None
    if last is not None and last.event == "command":
        what, fix = "the judge refused it", "see `modelway rollout status`"
        raise ProblemError([Problem(f"{done.model}-experiment", what, last.reason, f"what fits {command}", fix)])


def _by_config(work: "Job", model: str, version: str) -> None:
    from infra import deploy, stack_file
    from infra.engine.display import summary

    file = work.files.stack_file
    line = stack_file.roll_back(file, work.files.name, model, version)
    say(f"{file.name} line {line} says {stack_file.KEY}: {version}. Commit it; without it the weights count again.")
    served = deploy.up(deploy.job(work.files.name, work.console, file.parents[1]))
    say(summary(served.outcome.counts, served.outcome.seconds))


def _model(work: "Job", name: str) -> "ModelSettings":
    found = [model for model in work.settings.models if model.name == name]
    if not found:
        known = ", ".join(model.name for model in work.settings.models)
        raise ProblemError([Problem("MODEL", "no such model", repr(name), known, "name one of these")])
    return found[0]


def _no_experiment(work: "Job", model: str) -> Problem:
    fix = f"add one to the stack file and run `modelway up {work.files.name}`"
    return Problem(
        f"modelway:models {model}.experiment", "there is none in the cluster", "nothing", "an experiment", fix
    )
