"""`python -m tools.plugins.command`: stand-in for the official Command plugin; serves `command:local:Command` alone."""
# ruff: noqa: N802, ARG002 - the engine's protocol names these methods

import os
import secrets
import signal
import subprocess
import threading
from typing import IO, Any

from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto.provider_pb2_grpc import add_ResourceProviderServicer_to_server

from tools.plugins.wire import (
    UNKNOWN,
    Plugin,
    Refusal,
    Secret,
    Target,
    decode,
    reveal,
    secret,
    serve,
)

TOKEN = "command:local:Command"  # noqa: S105 - a type token
SCRIPTS = {"create", "update", "delete"}
INPUTS = SCRIPTS | {"stdin", "environment", "dir", "triggers", "interpreter"}
"""Inputs served; any other is refused by name."""


class Command(Target):
    """A shell command that runs when the resource is created, changed or deleted."""

    replaces = ("triggers",)

    def __init__(self, plugin: "CommandPlugin") -> None:
        self.plugin = plugin

    def check(self, request: Any, inputs: struct_pb2.Struct) -> None:
        """Refuse what is not served, and a secret that would be seen in process arguments."""
        quiet = {"logging"} if decode(inputs).get("logging") == "none" else set()
        if strange := {*inputs.fields} - INPUTS - quiet:
            raise Refusal(f"{TOKEN}: {', '.join(sorted(strange))} not served, allowed {sorted(INPUTS)}.")
        for name in SCRIPTS & {*inputs.fields}:
            if secret(decode(inputs.fields[name])):
                raise Refusal(
                    f"{TOKEN}: {name} holds a secret, which shows in process arguments; use environment or stdin."
                )

    def identity(self, inputs: Any) -> str:
        """A random id, as the official plugin gives."""
        return f"command{secrets.token_hex(4)}"

    def preview(self, request: Any, inputs: Any) -> Any:
        """What a command prints is known only after it ran."""
        return inputs | {"stdout": UNKNOWN, "stderr": UNKNOWN}

    def create(self, request: Any, identity: str, inputs: Any) -> Any:
        """Run `create`."""
        return self._outputs(request, inputs, reveal(inputs).get("create"), {})

    def update(self, request: Any, identity: str, inputs: Any, olds: Any, ignored: Any) -> Any:
        """Run `update`, else `create`."""
        plain = reveal(inputs)
        return self._outputs(request, inputs, plain.get("update", plain.get("create")), olds)

    def delete(self, request: Any, state: Any) -> None:
        """Run `delete`."""
        self.plugin.run(request, state, state.get("delete"), state)

    def _outputs(self, request: Any, inputs: Any, script: str | None, olds: Any) -> Any:
        hidden = secret(inputs)
        quiet = hidden or inputs.get("logging") == "none"
        out, err = self.plugin.run(request, reveal(inputs), script, olds, quiet=quiet)
        return inputs | {"stdout": Secret(out) if hidden else out, "stderr": Secret(err) if hidden else err}


class CommandPlugin(Plugin):
    """Runs commands, each in a process group of its own so that a cancelled update ends it whole."""

    version = "1.2.1"

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()

    def target(self, request: Any) -> Command:
        """Local commands; every other type is refused by name."""
        token = request.urn.split("::")[2].split("$")[-1]
        if token != TOKEN:
            raise Refusal(f"{token} is not served by the stand-in plugin; install the official plugin {self.version}.")
        return Command(self)

    def run(self, request: Any, inputs: Any, script: str | None, olds: Any, *, quiet: bool = True) -> tuple[str, str]:
        """Standard output and error of the script, without the last newline; raises `Refusal` when it fails."""
        if not script:
            return "", ""
        previous = {f"PULUMI_COMMAND_{key.upper()}": str(olds[key]) for key in ("stdout", "stderr") if olds.get(key)}
        pipe = subprocess.PIPE
        child = subprocess.Popen(
            [*(inputs.get("interpreter") or ["/bin/sh", "-c"]), script],
            cwd=inputs.get("dir"),
            env={**os.environ, **previous, **(inputs.get("environment") or {})},
            stdin=pipe, stdout=pipe, stderr=pipe, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        self._running.add(child)
        said: list[str] = []
        reader = threading.Thread(target=self._listen, args=(request.urn, child.stderr, said, quiet))
        feeder = threading.Thread(target=_feed, args=(child.stdin, inputs.get("stdin") or ""))
        reader.start()
        feeder.start()
        out = child.stdout.read() if child.stdout else ""
        reader.join()
        feeder.join()
        code = child.wait()
        self._running.discard(child)
        if code:
            raise Refusal(f"the command ended with status {code}: {''.join(said).strip()}")
        return out.removesuffix("\n"), "".join(said).removesuffix("\n")

    def _listen(self, urn: str, stream: IO[str], said: list[str], quiet: bool) -> None:
        for line in stream:
            said.append(line)
            if not quiet and line.strip():
                self.log(urn, line.strip())

    def Cancel(self, request: Any, context: Any) -> Any:
        """End the commands under way."""
        for child in self._running:
            os.killpg(child.pid, signal.SIGTERM)
        return empty_pb2.Empty()


def _feed(stream: IO[str], text: str) -> None:
    try:
        with stream:
            stream.write(text)
    except BrokenPipeError:
        pass  # the command need not read what it is given


if __name__ == "__main__":
    serve(CommandPlugin(), add_ResourceProviderServicer_to_server)
