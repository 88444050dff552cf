"""The commands `modelway keys …`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra.cli_common import AsJson, Stack, job_and_name, job_of, print_json, print_table, say

if TYPE_CHECKING:
    from rich.table import Table

    from infra.deploy import Job
    from infra.keys import Key

METAVAR = "[STACK] CLIENT"
HEADER = "x-api-key"

commands = typer.Typer(no_args_is_help=True, help="The API keys of the clients: make, rotate, revoke, list.")
Words = Annotated[list[str], typer.Argument(metavar=METAVAR, help="The client, after its stack if any.")]


@commands.command()
def add(words: Words) -> None:
    """Make the key of a new client and print it, this once."""
    from infra import keys

    work, client = job_and_name(words, METAVAR)
    _show(work, keys.add(keys.store_of(work), client, datetime.now(UTC)))


@commands.command()
def rotate(words: Words) -> None:
    """Make a second key of a client and print it, this once; the first one stays valid."""
    from infra import keys

    work, client = job_and_name(words, METAVAR)
    _show(work, keys.rotate(keys.store_of(work), client, datetime.now(UTC)))
    say(f"Both keys are valid. When {client} uses the new one: modelway keys revoke {work.files.name} {client} --old")


@commands.command()
def revoke(
    words: Words,
    old: Annotated[bool, typer.Option("--old", help="Only the older of two keys, which ends a rotation.")] = False,
) -> None:
    """Remove all keys of a client; the gateway refuses them within seconds."""
    from infra import keys

    work, client = job_and_name(words, METAVAR)
    count = keys.revoke(keys.store_of(work), client, old=old)
    say(f"{client}: {count} {'keys' if count > 1 else 'key'} removed, which the gateway refuses within seconds.")


@commands.command("list")
def show(stack: Stack = None, as_json: AsJson = False) -> None:
    """Print clients, the number of their keys and when each was made; no part of a key."""
    from infra import keys

    ring = keys.store_of(job_of(stack)).look()
    clients = {name: ring.of(name) for name in sorted({key.client for key in ring.keys})}
    if as_json:
        print_json([as_json_line(name, mine) for name, mine in clients.items()])
        return
    print_table(_table(clients, datetime.now(UTC)))


def _show(work: "Job", key: str) -> None:
    auth = work.settings.gateway.auth
    header = (auth and auth.header) or HEADER
    typer.echo(key)
    say(f"Nobody can show this key again. Its client sends it as a header:  curl -H '{header}: …' URL")
    say(f"`modelway status {work.files.name}` prints the URLs.")


def as_json_line(client: str, keys: Sequence["Key"]) -> dict[str, Any]:
    """A client as plain data; a time is null where another program wrote the key and none."""
    return {"client": client, "keys": [{"created": key.created and key.created.isoformat()} for key in keys]}


def _table(clients: dict[str, list["Key"]], now: datetime) -> "Table":
    from rich.table import Table

    table = Table("client", "keys", "made (days ago)", box=None, pad_edge=False)
    for name, mine in clients.items():
        table.add_row(name, str(len(mine)), ", ".join(_made(key, now) for key in mine))
    return table


def _made(key: "Key", now: datetime) -> str:
    return f"{key.created:%Y-%m-%d} ({(now - key.created).days})" if key.created else "unknown"
