"""The policy pack on a stack: where it lies, how strict it is there, and what is wrong in `modelway:policies`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelway_policies.settings import LEVEL, level_in, misfits, options_in

from infra.config_schema import Settings
from tools.paths import PROJECT
from tools.problem import Problem

PACK = PROJECT / "policies"


@dataclass(frozen=True)
class Policies:
    """What the engine is told about policies."""

    pack: Path
    stop: bool
    """Whether some rule stops the run."""


def policies_of(settings: Settings, pack: Path = PACK) -> Policies:
    """The pack for a stack; its rules read `modelway:environment` and `modelway:policies` by themselves."""
    levels = {options.get(LEVEL) for options in options_in(settings.policies).values()}
    return Policies(pack, "mandatory" in (*levels, level_in(settings.environment.value)))


def policy_problems(settings: Settings) -> list[Problem]:
    """Everything that is wrong in `modelway:policies`."""
    return [Problem(*misfit) for misfit in misfits(settings.policies)]


def advice_lines(advice: Mapping[str, Sequence[str]]) -> list[str]:
    """One line for each rule that something breaks without stopping the run."""
    lines = []
    for rule, sentences in sorted(advice.items()):
        others = f" ({len(sentences) - 1} more of this rule)" if len(sentences) > 1 else ""
        lines.append(f"policy {rule}: {min(sentences)}{others}")
    return lines
