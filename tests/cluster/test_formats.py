"""Every format that a model can be packaged in, from training to a prediction through the gateway.

The short run has the one whose image takes most care (see the Dockerfile), the full run all.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.provenance import REFERENCE, build_folder
from tests.cluster.stack import FULL, PORTS, PROJECT, Stack, assert_serves

# The first one waits for the node and for the images of all.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

FAMILIES = {
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "skops": "gradient-boosting",
    "pickle": "gradient-boosting",
}
"""By the format the family of the model; each version is named after its format."""
FORMATS = tuple(FAMILIES) if FULL else ("lightgbm",)
MEBIBYTE = 2**20


def package(stack: Stack, kind: str, folder: Path) -> None:
    """Train, package, build and push the version `kind`, as a user does."""

    def pipeline(*arguments: str) -> None:
        command = [sys.executable, "-m", "pipeline", *arguments]
        result = subprocess.run(
            command, cwd=PROJECT, env=dict(stack.environment), capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr

    registry = f"127.0.0.1:{PORTS['MODELWAY_REGISTRY_PORT']}"
    pipeline("train", "--family", FAMILIES[kind], "--out", str(folder))
    pipeline(
        *("package", "--model", str(folder), "--name", "formats", "--version", kind),
        *("--format", kind, "--registry", registry),
    )


@pytest.fixture(scope="module")
def urls(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """URL of each version of the model `formats`; afterwards the stack is as it was."""
    folder = tmp_path_factory.mktemp("formats")
    for kind in FORMATS:
        package(stack, kind, folder / kind)
    versions: list[dict[str, Any]] = [
        {
            "name": kind,
            "image": f"formats:{kind}",
            "weight": 100 if kind == FORMATS[0] else 0,
            "replicas": 1,
            "allowPickle": kind == "pickle",
        }
        for kind in FORMATS
    ]
    _, *found = stack.up_with({"name": "formats", "versions": versions}, folder / "project")
    yield dict(zip(FORMATS, found, strict=True))
    stack.modelway("up", "node")


@pytest.mark.parametrize("kind", FORMATS)
def test_200_held_out_rows_equal_the_reference(stack: Stack, urls: dict[str, str], kind: str) -> None:
    assert urls[kind] == f"{stack.gateway}/formats/{kind}/predict"
    reference = json.loads((build_folder("formats", kind) / REFERENCE).read_text())
    assert len(reference["rows"]) == 200
    assert_serves(reference, urls[kind], {}, version=kind)


@pytest.mark.usefixtures("urls")
@pytest.mark.parametrize("kind", FORMATS)
def test_the_server_opened_the_format_that_it_was_packaged_in(
    stack: Stack, kind: str, figure: Callable[[str], None]
) -> None:
    """Nothing fell back to another format, and no container was killed for its memory."""
    service = f"/api/v1/namespaces/modelway-models/services/formats-{kind}:http/proxy/v2/models/formats"
    assert json.loads(stack.kubectl("get", "--raw", service))["platform"] == kind
    selector = f"app.kubernetes.io/name=formats,app.kubernetes.io/version={kind}"
    pods = json.loads(stack.kubectl("get", "pods", "-n", "modelway-models", "-l", selector, "-o", "json"))["items"]
    (container,) = [status for pod in pods for status in pod["status"]["containerStatuses"]]
    assert container["restartCount"] == 0
    memory = resident_bytes(stack, pods[0]["metadata"]["name"])
    figure(f"{kind}: {memory / MEBIBYTE:.0f} MiB resident after 200 predictions")


def resident_bytes(stack: Stack, pod: str) -> int:
    """Resident memory of the server, from its own `/proc`."""
    program = "print(open('/proc/1/status').read())"
    lines = stack.kubectl("exec", "-n", "modelway-models", pod, "--", "python3", "-c", program).splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))
