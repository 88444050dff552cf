"""kube-score's verdict on Kubernetes objects."""

import json
import subprocess
from collections.abc import Iterable
from typing import Any

from tools.progress import Progress
from tools.toolchain import ensure, versions

CRITICAL, PASSED = 1, 10
"""kube-score's lowest and highest grade; 5 is a warning."""

MINOR = "v" + versions.KUBERNETES.rpartition(".")[0]
OPTIONAL = ("container-seccomp-profile", "container-ports-check")
"""Checks that kube-score leaves out by itself."""


def judge(manifests: Iterable[dict[str, Any]]) -> dict[tuple[str, str], int]:
    """Grades of objects that are deployed together, by object (`Kind/name`) and check; skipped ones are left out."""
    program = ensure(["kube-score"], Progress())["kube-score"].path
    extra = [argument for check in OPTIONAL for argument in ("--enable-optional-test", check)]
    command = [str(program), "score", "--kubernetes-version", MINOR, "--output-format", "json", *extra, "-"]
    text = "---\n".join(json.dumps(manifest) + "\n" for manifest in manifests)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise AssertionError(done.stderr)
    return {
        (f"{found['type_meta']['kind']}/{found['object_meta']['name']}", check["check"]["id"]): check["grade"]
        for found in json.loads(done.stdout)
        for check in found["checks"]
        if not check["skipped"]
    }
