"""A running stack, as the tests see it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2]
FULL = os.environ.get("MODELWAY_TEST_COUNTS") == "full"
"""Whether counts are the full ones (`make test-long`) or the short ones of every run."""
UP = """
import sys
from pathlib import Path
from rich.console import Console
from infra import deploy
print(*deploy.up(deploy.job("node", Console(stderr=True), Path(sys.argv[1]))).urls[sys.argv[2]], sep="\\n")
"""
LONG = [pytest.mark.cluster, pytest.mark.skipif(not FULL, reason="takes many minutes: `make test-long`")]
"""Marks of the tests that only `make test-long` runs."""
OFFSET = int(os.environ.get("MODELWAY_TEST_PORT_OFFSET", "0"))
"""Added to every port, so that several runs fit on one machine."""
PORTS = {
    "MODELWAY_GATEWAY_PORT": str(18081 + OFFSET),
    "MODELWAY_GATEWAY_TLS_PORT": str(18444 + OFFSET),
    "MODELWAY_REGISTRY_PORT": str(15001 + OFFSET),
    "MODELWAY_API_PORT": str(16444 + OFFSET),
}


@dataclass(frozen=True)
class Stack:
    """A running stack `node` with state and ports of its own."""

    state: Path
    environment: Mapping[str, str]
    first_up: str
    """What the first `up` printed."""

    gateway: str = f"http://127.0.0.1:{PORTS['MODELWAY_GATEWAY_PORT']}"

    def modelway(self, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command line; with `check`, fail with its whole output when it fails."""
        return modelway({**self.environment, **environment}, *arguments, check=check)

    def up_with(
        self,
        model: dict[str, Any],
        project: Path,
        *others: dict[str, Any],
        gateway: Mapping[str, Any] | None = None,
        monitoring: Mapping[str, Any] | None = None,
        logs: Mapping[str, Any] | None = None,
        traces: Mapping[str, Any] | None = None,
    ) -> list[str]:
        """`modelway up` of the stack with more models, from files in the new folder `project`; the first one's URLs."""
        (project / "stacks").mkdir(parents=True)
        shutil.copy(PROJECT / "Pulumi.yaml", project)
        document = yaml.safe_load((PROJECT / "stacks/Pulumi.node.yaml").read_text())
        document["config"]["modelway:models"] += [model, *others]
        if gateway is not None:
            document["config"]["modelway:gateway"] = dict(gateway)
        if monitoring is not None:
            document["config"]["modelway:monitoring"] = dict(monitoring)
        if logs is not None:
            document["config"]["modelway:logs"] = dict(logs)
        if traces is not None:
            document["config"]["modelway:traces"] = dict(traces)
        (project / "stacks/Pulumi.node.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
        command = [sys.executable, "-c", UP, str(project), model["name"]]
        result = subprocess.run(
            command, cwd=PROJECT, env=dict(self.environment), capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout.splitlines()

    def kubectl(self, *arguments: str, check: bool = True, stdin: str | None = None) -> str:
        """Run kubectl against the node and return what it prints."""
        result = subprocess.run(
            ["kubectl", "--kubeconfig", str(self.state / "node/kubeconfig"), *arguments],
            # Its web socket client may drop output that comes before it listens ("Unknown stream id"); SPDY does not.
            env={**os.environ, "KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false"},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and result.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}\n{result.stdout}{result.stderr}")
        return result.stdout + ("" if check else result.stderr)

    def prometheus(self, query: str) -> list[dict[str, Any]]:
        """Result of an instant query, through the API server's proxy."""
        path = "/api/v1/namespaces/modelway-monitoring/services/prometheus:http/proxy/api/v1/query"
        answer = json.loads(self.kubectl("get", "--raw", str(httpx.URL(path, params={"query": query}))))
        assert answer["status"] == "success"
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    def reference(self, version: str) -> dict[str, Any]:
        """Held-out rows with the predictions of the trained model itself."""
        file = PROJECT / f"build/breast-cancer/{version}/reference_predictions.json"
        content: dict[str, Any] = json.loads(file.read_text())
        return content

    def lock(self) -> dict[str, str]:
        """The images that `package` recorded."""
        content: dict[str, str] = json.loads(Path(self.environment["MODELWAY_IMAGES_LOCK"]).read_text())
        return content


def modelway(environment: Mapping[str, str], *arguments: str, check: bool) -> subprocess.CompletedProcess[str]:
    """Run the command line in the checkout; with `check`, fail with its whole output when it fails."""
    result = subprocess.run(
        [sys.executable, "-m", "infra.cli", *arguments],
        cwd=PROJECT,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if check and result.returncode:
        raise AssertionError(f"modelway {' '.join(arguments)} ended with {result.returncode}\n{result.stdout}")
    return result


def assert_serves(reference: Mapping[str, Any], url: str, headers: Mapping[str, str], version: str) -> None:
    """Every row of the reference is answered by this version, with the predictions of the trained model itself."""
    with httpx.Client(trust_env=False, headers=headers) as client:
        answers = [client.post(url, json=row).raise_for_status().json() for row in reference["rows"]]
    assert {answer["version"] for answer in answers} == {version}
    assert [answer["prediction"] for answer in answers] == reference["prediction"]
    for answer, row in zip(answers, reference["probability"], strict=True):
        assert_close(answer["probability"], row)


def assert_close(got: Sequence[float], expected: Sequence[float]) -> None:
    """Probabilities equal within 1e-5."""
    assert max(abs(one - other) for one, other in zip(got, expected, strict=True)) <= 1e-5
