"""Collects what is wrong with a component's arguments, so that all is said at once."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Finding(NamedTuple):
    """One thing that is wrong with one argument."""

    argument: str
    what: str
    got: str
    allowed: str
    fix: str
    """With its full stop, or question mark."""


class RefusalError(ValueError):
    """Arguments that a component does not take; its text has one sentence for each problem."""

    def __init__(self, findings: "Findings") -> None:
        super().__init__("\n".join(findings.sentences))
        self.findings = findings


@dataclass
class Findings:
    """Sentences about one component: where, what, got, allowed, fix."""

    where: str
    found: list[Finding] = field(default_factory=list)

    @property
    def sentences(self) -> list[str]:
        """All that was found, one sentence each."""
        return [
            f"{self.where}.{each.argument}: {each.what}: got {each.got}, allowed {each.allowed}; {each.fix}"
            for each in self.found
        ]

    def refuse(self) -> None:
        """Raise `RefusalError` where anything was found."""
        if self.found:
            raise RefusalError(self)

    def add(self, argument: str, what: str, got: object, allowed: str, fix: str) -> None:
        """One thing that is wrong."""
        self.found.append(Finding(argument, what, str(got), allowed, f"{fix}."))

    def one_of(self, argument: str, what: str, got: str, allowed: Sequence[str], shown: str = "") -> bool:
        """Whether `got` is among `allowed`; else says what it may have been meant to be."""
        if got in allowed:
            return True
        close = difflib.get_close_matches(got, allowed, n=1)
        fix = f"did you mean {close[0]!r}?" if close else "correct it."
        self.found.append(Finding(argument, what, repr(got), shown or ", ".join(allowed), fix))
        return False


def repeated(values: Iterable[str]) -> list[str]:
    """Values that appear more than once, each once."""
    seen = list(values)
    return [value for value in dict.fromkeys(seen) if seen.count(value) > 1]
