"""Why the server does not start, said in one sentence per reason."""

from collections.abc import Sequence


class StartupError(Exception):
    """Stops the start; carries every reason found, so that all are repaired in one go."""

    def __init__(self, reasons: str | Sequence[str]) -> None:
        self.reasons = (reasons,) if isinstance(reasons, str) else tuple(reasons)
        super().__init__("\n".join(self.reasons))


def sentence(where: str, what: str, got: str, allowed: str, fix: str) -> str:
    """One reason as one sentence: where, what is wrong, what was found, what would be right, how to repair it."""
    return f"{where}: {what}: got {got}, allowed {allowed}; {fix}."
