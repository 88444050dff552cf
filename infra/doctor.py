"""What is on this machine for a stack: every tool with version and origin, and every problem."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Column, Table

from infra import machine
from infra.config_schema import Settings
from tools import toolchain
from tools.problem import Problem
from tools.toolchain import ToolReport


@dataclass(frozen=True)
class Diagnosis:
    """The outcome of `modelway doctor`."""

    stack: str
    tools: Sequence[ToolReport]
    problems: Sequence[Problem]
    """What blocks `up`; empty: it can start."""


def diagnose(stack: str, settings: Settings) -> Diagnosis:
    """Look at tools and machine; fetches, builds and changes nothing."""
    names = machine.tool_names(settings.cluster.provider)
    return Diagnosis(stack, toolchain.inspect(names), machine.problems(settings))


def as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis as plain data."""
    return {
        "stack": diagnosis.stack,
        "ok": not diagnosis.problems,
        "tools": [
            {
                "name": report.name,
                "version": report.tool.version if report.tool else None,
                "origin": report.tool.origin if report.tool else None,
                "path": str(report.tool.path) if report.tool else None,
                "pinned": report.pinned,
                "fix": report.fix,
            }
            for report in diagnosis.tools
        ],
        "problems": [vars(problem) for problem in diagnosis.problems],
    }


def table(diagnosis: Diagnosis) -> Table:
    """One line per tool."""
    result = Table(
        "tool",
        "version",
        "origin",
        Column("what to do", overflow="fold"),
        title=f"stack {diagnosis.stack}",
        box=None,
        pad_edge=False,
    )
    for report in diagnosis.tools:
        if report.tool:
            result.add_row(report.name, report.tool.version, report.tool.origin, "")
        elif report.problem:
            result.add_row(report.name, report.pinned, "missing", report.fix)
        else:
            result.add_row(report.name, report.pinned, "missing", f"comes by itself; or {report.fix}")
    return result
