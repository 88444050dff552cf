"""What is said of a field that does not fit, before it is a sentence."""

from typing import NamedTuple


class Misfit(NamedTuple):
    """One field that does not fit: which, what is wrong, what was given, what is allowed, what to do."""

    field: str
    """Dotted, in snake case: `container.admin_port`."""
    what: str
    got: str
    allowed: str
    fix: str
