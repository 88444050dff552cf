"""What is wrong, said in one sentence that ends with the fix."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that stops the work, with what a reader needs to repair it."""

    where: str
    """The key, argument, file or machine part: `modelway:models[0].versions`, `127.0.0.1:8080`."""
    what: str
    """What is wrong: `weights do not sum to 100`."""
    got: str
    """What was found: `90 and 20`."""
    allowed: str
    """What would have been right: `a sum of exactly 100`."""
    fix: str
    """What to do, as a command where there is one."""

    def __str__(self) -> str:
        end = "" if self.fix.endswith("?") else "."
        return f"{self.where}: {self.what}: got {self.got}, allowed {self.allowed}; {self.fix}{end}"


class ProblemError(Exception):
    """Stops a command; carries every problem found, so that all are reported together."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))
