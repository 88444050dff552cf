"""The command `modelway status`."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from infra.cli_common import AsJson, Stack, job_of, print_json, print_table, say

if TYPE_CHECKING:
    from rich.console import Group

    from infra.state import StackState

WATCH_SECONDS = 2.0


def status(
    stack: Stack = None,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it anew until Ctrl-C.")] = False,
) -> None:
    """Print models, versions, shares, pods, rates, latency, errors, error budgets, drift, alerts and experiments."""
    if watch and as_json:
        raise typer.BadParameter("--watch: got --json with it, allowed one of the two")
    from infra import state as states
    from infra import state_view

    work = job_of(stack)
    state = states.look(work)
    if as_json:
        print_json(state_view.as_json(state))
        return
    if not watch:
        print_table(state_view.table(state))
        for line in state_view.lines(state, time.time()):
            typer.echo(line)
        for sentence in state_view.remarks(state):
            say(sentence)
        return
    from rich.console import Console
    from rich.live import Live

    with Live(_shown(state), console=Console()) as live:
        while True:
            time.sleep(WATCH_SECONDS)
            state = states.look_again(work, state)
            live.update(_shown(state), refresh=True)


def _shown(state: "StackState") -> "Group":
    from rich.console import Group
    from rich.text import Text

    from infra import state_view

    now = time.time()
    said = [*state_view.lines(state, now), *state_view.remarks(state)]
    return Group(state_view.table(state), *(Text(line) for line in said))
