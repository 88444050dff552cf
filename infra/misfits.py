"""What the components would refuse, in the words of the stack config."""

import re
from collections.abc import Iterable

from modelway.serving.runtime_checks import Misfit
from pydantic.alias_generators import to_camel

from tools.problem import Problem


def spelling(names: Iterable[str]) -> re.Pattern[str]:
    """Finds those of `names` that the stack config spells otherwise."""
    # The longest first: one may be the beginning of another.
    return re.compile("|".join(rf"\b{name}\b" for name in sorted(names, reverse=True) if "_" in name))


def dotted(field: str) -> str:
    """A component's field as the stack config spells it: `auth.jwt.jwksUrl`."""
    return ".".join(to_camel(part) for part in field.split("."))


def problem_of(where: str, misfit: Misfit, spelled: re.Pattern[str]) -> Problem:
    """`misfit` of what stands at `where`; `spelled` finds the names in its sentence."""
    field, *sentence = misfit
    said = (spelled.sub(lambda found: to_camel(found[0]), part) for part in sentence)
    return Problem(f"{where}.{dotted(field)}", *said)
