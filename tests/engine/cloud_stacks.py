"""The four cloud stacks by the literal `pulumi`, against the recorder."""

import json
import os
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.engine.checkout import Checkout, checkout
from tools.paths import PROJECT

STACKS = ("aws-staging", "aws-production", "gcp-staging", "gcp-production")
PACKAGES = ("aws", "gcp", "kubernetes")


@dataclass(frozen=True)
class Clouds:
    """A checkout whose engine finds the recorder."""

    work: Checkout
    log: Path

    def initialised(self, stack: str) -> str:
        """The stack, made in the backend."""
        self.work.pulumi("stack", "init", stack)
        return stack

    def change(self, stack: str, key: str, **changes: Any) -> None:
        """Change fields of one key of `modelway:`."""
        file = self.work.folder / f"stacks/Pulumi.{stack}.yaml"
        document = yaml.safe_load(file.read_text())
        document["config"].setdefault(f"modelway:{key}", {}).update(changes)
        file.write_text(yaml.safe_dump(document, sort_keys=False))

    def preview(self, stack: str) -> dict[str, Any]:
        """The plan, with the seconds that it took, and those of the processors."""
        started, used = time.monotonic(), _cpu_seconds()
        planned: dict[str, Any] = json.loads(self.work.pulumi("preview", "-s", stack, "--json"))
        return {**planned, "seconds": time.monotonic() - started, "cpu_seconds": _cpu_seconds() - used}

    def up(self, stack: str) -> str:
        """Deploy."""
        return self.work.pulumi("up", "-s", stack, "--yes", "--skip-preview")

    def noted(self, *operations: str) -> list[dict[str, Any]]:
        """What the recorder was asked for, in order."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [each for line in lines if (each := json.loads(line))["operation"] in operations]

    def forget(self) -> None:
        """Start the log anew."""
        self.log.unlink(missing_ok=True)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def clouds(folder: Path, environment: Mapping[str, str]) -> Clouds:
    """A checkout below `folder` with the recorder on its PATH."""
    (folder / "recorder").mkdir(parents=True)
    for package in PACKAGES:
        launcher = folder / "recorder" / f"pulumi-resource-{package}"
        command = f"exec {sys.executable} -m tests.engine.recorder {package}"
        launcher.write_text(f'#!/bin/sh\nPYTHONPATH={PROJECT} {command} "$@"\n')
        launcher.chmod(0o755)
    log = folder / "recorded.jsonl"
    more = {
        "PATH": f"{folder / 'recorder'}{os.pathsep}{environment['PATH']}",
        "RECORDER_LOG": str(log),
        "RECORDER_CLUSTERS": str(folder / "clusters.json"),
        "AWS_PROFILE": "recorded",
        "GOOGLE_OAUTH_ACCESS_TOKEN": "recorded",
    }
    return Clouds(checkout(folder / "checkout", {**environment, **more}, ""), log)
