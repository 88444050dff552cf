"""Which stack a command means when the user names none."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """A stack, and why it was chosen."""

    stack: str
    reason: str
    """One line for the user; empty when the user named the stack."""


def choose(named: str | None, docker_answers: Callable[[], bool]) -> Choice:
    """The named stack, else `local` where Docker answers, else `node`."""
    if named:
        return Choice(named, "")
    if docker_answers():
        return Choice("local", "Stack local (kind), because Docker answers here; STACK decides otherwise.")
    return Choice("node", "Stack node (one-node Kubernetes), because no Docker answers here; STACK decides otherwise.")
