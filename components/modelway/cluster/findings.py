"""Collects what is wrong with a component's arguments, so that all is said at once."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass
class Findings:
    """Sentences about one component: where, what, got, allowed, fix."""

    where: str
    sentences: list[str] = field(default_factory=list)

    def add(self, argument: str, what: str, got: object, allowed: str, fix: str) -> None:
        """One thing that is wrong."""
        self.sentences.append(f"{self.where}.{argument}: {what}: got {got}, allowed {allowed}; {fix}.")

    def one_of(self, argument: str, what: str, got: str, allowed: Sequence[str], shown: str = "") -> bool:
        """Whether `got` is among `allowed`; else says what it may have been meant to be."""
        if got in allowed:
            return True
        close = difflib.get_close_matches(got, allowed, n=1)
        fix = f"did you mean {close[0]!r}?" if close else "correct it."
        names = shown or ", ".join(allowed)
        self.sentences.append(f"{self.where}.{argument}: {what}: got {got!r}, allowed {names}; {fix}")
        return False


def repeated(values: Iterable[str]) -> list[str]:
    """Values that appear more than once, each once."""
    seen = list(values)
    return [value for value in dict.fromkeys(seen) if seen.count(value) > 1]
