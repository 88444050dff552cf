"""Runs one operation of the engine session on a stack, in a process that a test can kill.

`python -m tests.engine.cli_driver OPERATION`, with the stack and program in JSON in the variable DRIVER.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pulumi
from rich.console import Console

from infra import cli
from infra.engine.display import preview_lines, summary
from infra.engine.session import Engine, Outcome, opened
from infra.engine.toolset import Toolset
from infra.engine.workspace import stack_files
from tools.problem import Problem, ProblemError

PROBLEMS = [Problem("modelway:models[0].image", "no digest", "'x:1'", "NAME@sha256:DIGEST", "write the digest"),
            Problem("modelway:modles", "unknown key", "'modles'", "models", "did you mean `models`")]  # fmt: skip


def program(given: dict[str, Any]) -> None:
    """One ConfigMap per entry of `objects`; then whatever failure is asked for."""
    if given.get("fails") == "problems":
        raise ProblemError(PROBLEMS)
    for name, data in given["objects"].items():
        metadata = {"name": name, "namespace": "models"}
        opts = pulumi.ResourceOptions(protect=name in given.get("protected", ()))
        pulumi.CustomResource("kubernetes:core/v1:ConfigMap", name, {"metadata": metadata, "data": data}, opts)
    if given.get("fails") == "value":
        raise ValueError("replicas: must be at least 1: got 0, allowed 1 or more; raise it.")
    pulumi.export("urls", {"breast-cancer": ["http://127.0.0.1:8080/breast-cancer/predict"]})
    pulumi.export("token", pulumi.Output.secret("planted"))


def run(operation: str) -> None:
    """Print the outcome as the command line does."""
    given = json.loads(os.environ["DRIVER"])
    files = stack_files(given["stack"], Path(given["project"]))
    tools = Toolset(Path(given["pulumi"]), "3.259.0", {"PATH": given["path"]})
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with opened(files, lambda: program(given), tools, console) as engine:
        if operation == "forget":
            print(f"forgot {engine.forget()}")
            return
        outcome: Outcome = getattr(Engine, operation)(engine)
    print("\n".join(preview_lines(outcome.changes)))
    print(json.dumps(dict(outcome.outputs)))
    print(summary(outcome.counts, outcome.seconds))


if __name__ == "__main__":
    cli.guarded(lambda: run(sys.argv[1]))
