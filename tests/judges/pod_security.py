"""The API server's own Pod Security admission, as a program."""

import json
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.progress import Progress
from tools.toolchain import ensure, gobuild

MODULE = "k8s.io/pod-security-admission"


@dataclass(frozen=True)
class Verdict:
    """What Pod Security says of one pod."""

    allowed: bool
    reasons: list[str]


def judge(pods: Iterable[dict[str, Any]], level: str = "restricted", version: str = "latest") -> list[Verdict]:
    """Verdicts on pods or pod templates, in their order; all in one process."""
    asked = [
        {"level": level, "version": version, "metadata": pod.get("metadata", {}), "spec": pod["spec"]} for pod in pods
    ]
    program = ensure(["pod-security-judge"], Progress())["pod-security-judge"].path
    text = "".join(json.dumps(question) + "\n" for question in asked)
    done = subprocess.run([str(program)], input=text, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return [Verdict(**json.loads(line)) for line in done.stdout.splitlines()]


def templates(manifests: Iterable[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Pods and pod templates of Deployments, DaemonSets and Jobs, each with the name of its object."""
    for manifest in manifests:
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        if manifest["kind"] == "Pod":
            yield name, manifest
        elif "template" in manifest.get("spec", {}):
            yield name, manifest["spec"]["template"]


def fixtures(level: str, version: str) -> dict[str, list[dict[str, Any]]]:
    """Pods by which upstream tests the evaluator: lists `pass` and `fail`."""
    folder = _source() / "test/testdata" / level / version
    return {
        kind: [yaml.safe_load(file.read_text()) for file in sorted((folder / kind).iterdir())]
        for kind in ("pass", "fail")
    }


def _source() -> Path:
    """Where Go keeps the module that the judge is built from."""
    done = subprocess.run(
        [str(gobuild.go_command()), "mod", "download", "-json", MODULE],
        cwd=gobuild.MODULES / "pod-security",
        env=gobuild.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(json.loads(done.stdout)["Dir"])
