"""The four cloud stacks by the literal `pulumi`, against the recorder."""

import base64
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

IMAGE = "registry.example/{}@sha256:" + "5" * 64
SECRETS = {
    "monitoring.grafana.adminPassword": "planted-grafana-5d1f0c7a",
    "monitoring.receivers[0].pagerduty.routingKey": "planted-pagerduty-8e2b64f3",
    "monitoring.receivers[1].webhook.bearerToken": "planted-webhook-1a9c37d5",
    "logs.authorization": "Bearer planted-logs-c40e92b6",
}
"""What a stack may have of secrets beside a registry's password, by its key."""
STACKS = ("aws-staging", "aws-production", "gcp-staging", "gcp-production")
PACKAGES = ("aws", "gcp", "kubernetes")


@dataclass(frozen=True)
class Clouds:
    """A checkout whose engine finds the recorder."""

    work: Checkout
    folder: Path

    @property
    def log(self) -> Path:
        """What the recorder was asked for, a line each."""
        return self.folder / "recorded.jsonl"

    def initialised(self, stack: str) -> str:
        """The stack, made in the backend."""
        self.work.pulumi("stack", "init", stack)
        return stack

    def change(self, stack: str, key: str, **changes: Any) -> None:
        """Change fields of one key of `modelway:`; None removes one."""
        file = self.work.folder / f"stacks/Pulumi.{stack}.yaml"
        document = yaml.safe_load(file.read_text())
        merged = {**document["config"].get(f"modelway:{key}", {}), **changes}
        document["config"][f"modelway:{key}"] = {name: value for name, value in merged.items() if value is not None}
        file.write_text(yaml.safe_dump(document, sort_keys=False))

    def plant(self, stack: str) -> None:
        """Give the stack a volume, and each secret that it may have."""
        webhook = {"url": "https://hooks.example.com/alerts"}
        self.change(
            stack,
            "monitoring",
            storageClass="encrypted",
            receiversCidrs=["198.51.100.0/24"],
            grafana={"image": IMAGE.format("grafana")},
            receivers=[{"name": "oncall", "pagerduty": {}}, {"name": "hook", "webhook": webhook}],
            routes={"page": {"receivers": ["oncall"]}, "ticket": {"receivers": ["hook"]}},
        )
        self.change(stack, "logs", destination="loki", url="https://logs.example.com", egressCidrs=["198.51.100.0/24"])
        roles = ("alertmanager", "logCollector")
        self.change(stack, "images", **{role: IMAGE.format(role.lower()) for role in roles})
        pairs = [f"--secret=modelway:{key}={value}" for key, value in SECRETS.items()]
        self.work.pulumi("config", "set-all", "-s", stack, "--path", *pairs)

    def preview(self, stack: str) -> dict[str, Any]:
        """The plan, with the seconds that it took, and those of the processors."""
        started, used = time.monotonic(), _cpu_seconds()
        planned: dict[str, Any] = json.loads(self.work.pulumi("preview", "-s", stack, "--json"))
        return {**planned, "seconds": time.monotonic() - started, "cpu_seconds": _cpu_seconds() - used}

    def up(self, stack: str) -> str:
        """Deploy; what the engine says of it, with every property."""
        return self.work.pulumi("up", "-s", stack, "--yes", "--skip-preview", "--diff")

    def kept(self) -> str:
        """Everything that the backend has written."""
        backend = Path(self.work.environment["PULUMI_BACKEND_URL"].removeprefix("file://"))
        return "".join(path.read_text(errors="replace") for path in sorted(backend.rglob("*")) if path.is_file())

    def noted(self, *operations: str) -> list[dict[str, Any]]:
        """What the recorder was asked for, in order."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [each for line in lines if (each := json.loads(line))["operation"] in operations]

    def forget(self) -> None:
        """Start the log anew."""
        self.log.unlink(missing_ok=True)


def forms(secret: str) -> set[str]:
    """How a secret's last word may stand in a text: as it is, and in base64 behind any text."""
    word = secret.split()[-1].encode()
    # Three bytes are four letters: what begins in the middle of a group gives other letters, and the ends are not its own.
    shifted = {base64.b64encode(b" " * shift + word)[4 * (shift > 0) : -4].decode() for shift in range(3)}
    return {word.decode(), *shifted}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def clouds(folder: Path, environment: Mapping[str, str], others: Mapping[str, str] | None = None) -> Clouds:
    """A checkout below `folder` with the recorder on its PATH; `others` are last words on the environment."""
    (folder / "recorder").mkdir(parents=True)
    for package in PACKAGES:
        launcher = folder / "recorder" / f"pulumi-resource-{package}"
        command = f"exec {sys.executable} -m tests.engine.recorder {package}"
        launcher.write_text(f'#!/bin/sh\nPYTHONPATH={PROJECT} {command} "$@"\n')
        launcher.chmod(0o755)
    more = {
        "PATH": f"{folder / 'recorder'}{os.pathsep}{environment['PATH']}",
        "RECORDER_LOG": str(folder / "recorded.jsonl"),
        "RECORDER_CLUSTERS": str(folder / "clusters.json"),
        # The state is written once at the end: hundreds of resources are made in no time, and each would write it anew.
        "PULUMI_EXPERIMENTAL": "true",
        "PULUMI_SKIP_CHECKPOINTS": "true",
        "AWS_PROFILE": "recorded",
        "GOOGLE_OAUTH_ACCESS_TOKEN": "recorded",
    }
    return Clouds(checkout(folder / "checkout", {**environment, **more, **(others or {})}, ""), folder)
