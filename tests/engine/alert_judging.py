"""Judges rules with promtool: what is recorded and what fires at which moment, over series that are given."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.progress import Progress
from tools.toolchain import ensure

Groups = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Proven:
    """Names of the alerts of which is proven that they do."""

    fire: frozenset[str]
    stay_silent: frozenset[str]
    """Though what they watch is nearly as bad as may be."""
    end: frozenset[str]


def judge(
    folder: Path,
    groups: Groups,
    series: Sequence[Mapping[str, str]],
    step: str,
    tests: Sequence[Mapping[str, Any]],
    evaluation: str | None = None,
) -> None:
    """Run promtool over rules and tests.

    `step` is between two values of a series, `evaluation` between two evaluations of every group, whatever its own
    interval; the same unless given. As often as in production, days would take promtool minutes.
    """
    (folder / "rules.yml").write_text(yaml.safe_dump({"groups": list(groups)}))
    document = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": evaluation or step,
        # Else at random, and a rule would not see what others have recorded at the same moment.
        "group_eval_order": [group["name"] for group in groups],
        "tests": [{"interval": step, "input_series": list(series), "promql_expr_test": list(tests)}],
    }
    (folder / "tests.yml").write_text(yaml.safe_dump(document))
    promtool = ensure(["promtool"], Progress())["promtool"].path
    for command in (["check", "rules", "--lint-fatal", "rules.yml"], ["test", "rules", "tests.yml"]):
        result = subprocess.run([promtool, *command], cwd=folder, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def values(*phases: tuple[int, float]) -> str:
    """A counter's values: so many steps, each so much more."""
    total, parts = 0.0, ["0"]
    for steps, more in phases:
        parts.append(f"{total + more:g}+{more:g}x{steps - 1}")
        total += more * steps
    return " ".join(parts)
