"""Turns what the engine prints when it fails into sentences that end with a fix."""

from collections.abc import Sequence

from pulumi.automation import CommandError, ConcurrentUpdateError

from infra.engine.events import plain, title
from tools.problem import Problem, ProblemError

_PROGRAM_PREFIX = "python inline source runtime error: "
_ECHO_PREFIX = "an unhandled error occurred: "
_EMPTY_WORDS = ("update failed", "preview failed", "destroy failed", "refresh failed")


class EngineError(Exception):
    """A run of the engine failed; carries one text per cause."""

    def __init__(self, causes: Sequence[str], traceback_text: str = "") -> None:
        self.causes = tuple(causes)
        self.traceback_text = traceback_text
        """The program's traceback when it failed unexpectedly, for the log file."""
        super().__init__("\n".join(causes))


class CancelledError(Exception):
    """The user cancelled the run; the engine has finished its running steps and released its lock."""


def failure(error: CommandError, reported: Sequence[tuple[str, str]], stack: str, command: str) -> Exception:
    """The exception to raise for `error`; `reported` are the error events of the run: URN and message."""
    text = str(error)
    if problem := _known(error, text + "\n".join(message for _, message in reported), stack, command):
        return ProblemError([problem])
    causes: list[str] = []
    tracebacks: list[str] = []
    for urn, message in reported:
        own, _, traceback_text = (
            message.removeprefix(_ECHO_PREFIX).removeprefix(_PROGRAM_PREFIX).partition("\nTraceback ")
        )
        if traceback_text:
            tracebacks.append(message)
        named = f"{title(urn)}: {own}" if urn and not title(urn).startswith("Stack ") else own
        if own not in _EMPTY_WORDS and named not in causes:
            causes.append(named)
    return EngineError(causes or _complaints(text), "\n".join(tracebacks))


def _complaints(text: str) -> list[str]:
    """The `error:` lines of the CLI's own standard error."""
    lines = plain(text.partition("\n stderr: ")[2]).splitlines()
    return [line.removeprefix("error: ") for line in lines if line.strip()] or [plain(text)]


def _known(error: CommandError, text: str, stack: str, command: str) -> Problem | None:
    if "incorrect passphrase" in text:
        return Problem(
            f"stack {stack}",
            "its secrets were encrypted with another passphrase",
            "an incorrect passphrase",
            "the one it was created with",
            "set PULUMI_CONFIG_PASSPHRASE_FILE to the file that holds it",
        )
    if "unable to find either `PULUMI_CONFIG_PASSPHRASE`" in text or "passphrase must be set with" in text:
        return Problem(
            f"stack {stack}",
            "no passphrase for its secrets",
            "neither PULUMI_CONFIG_PASSPHRASE nor PULUMI_CONFIG_PASSPHRASE_FILE",
            "the passphrase it was created with",
            "set PULUMI_CONFIG_PASSPHRASE_FILE to the file that holds it",
        )
    if isinstance(error, ConcurrentUpdateError):
        return Problem(
            f"stack {stack}",
            "another run works on it",
            "a locked stack",
            "one run at a time",
            f"wait for it to end, or run `pulumi cancel -s {stack}` when it is dead",
        )
    if "no space left on device" in text:
        return Problem(
            f"stack {stack}",
            "the disk is full",
            "no space left on device",
            "a few free GiB",
            f"free some and run `{command}` again: nothing is lost",
        )
    return None
