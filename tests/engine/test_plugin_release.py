"""The Kubernetes stand-in through the real engine, against a real API server: Helm releases."""

import base64
import gzip
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as k8s
import pytest

from tests.engine.apiserver import Api
from tests.engine.conftest import Stack

pytestmark = pytest.mark.engine
TOKEN = "planted-value-4711"
TEMPLATE = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: {{ .Values.color | quote }}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: painter}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: painter}}
  template: {metadata: {labels: {app: painter}}, spec: {containers: [{name: c, image: none}]}}
"""


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chart with a ConfigMap and a Deployment that gets ready only with 0 replicas, as there is no node."""
    folder = tmp_path_factory.mktemp("chart")
    (folder / "templates").mkdir()
    about = {"apiVersion": "v2", "name": "painter", "version": "0.1.0", "appVersion": "9"}
    (folder / "Chart.yaml").write_text(json.dumps(about))
    (folder / "templates/all.yaml").write_text(TEMPLATE)
    return folder


def release(
    api: Api, chart: Path, namespace: str, color: str = "red", replicas: int = 0, **more: Any
) -> Callable[[], None]:
    """A program with one release."""

    def program() -> None:
        provider = k8s.Provider("cluster", kubeconfig=api.kubeconfig())
        values = {"color": color, "replicas": replicas, "token": pulumi.Output.secret(TOKEN)}
        own = k8s.helm.v3.Release(
            "painter",
            chart=str(chart),
            namespace=namespace,
            values=values,
            **{"timeout": 60, **more},
            opts=pulumi.ResourceOptions(provider=provider),
        )
        pulumi.export("status", own.status)
        pulumi.export("names", own.resource_names)

    return program


def test_a_release_is_installed_upgraded_and_uninstalled(stack: Stack, api: Api, chart: Path) -> None:
    space = "release-space"
    program = release(api, chart, space, create_namespace=True)
    assert stack.preview(program) == {"create": 3}
    assert stack.up(program) == {"create": 3}
    status = stack.outputs()["status"]
    assert {key: status[key] for key in ("namespace", "revision", "status", "version", "appVersion")} == {
        "namespace": space,
        "revision": 1,
        "status": "deployed",
        "version": "0.1.0",
        "appVersion": "9",
    }
    assert stack.outputs()["names"] == {"ConfigMap/v1": ["settings"], "Deployment.apps/apps/v1": ["painter"]}
    assert TOKEN not in stack.stored() + "".join(stack.said)
    # The state reads as the official plugin's: it compares with every input, and faults on inputs that are no secret.
    state = stack.state("painter")
    assert {"atomic", "description", "lint", "waitForJobs", "values"} <= {*state["inputs"], *state["outputs"]}
    assert "compat" not in state["inputs"]
    assert "ciphertext" in state["outputs"]["__inputs"]
    assert stack.preview(program) == {"same": 3}
    assert stack.refresh(program) == {"same": 3}
    assert stack.up(release(api, chart, space, "blue", create_namespace=True)) == {"same": 2, "update": 1}
    assert api.value("configmap", "settings", ".data.color", space) == "blue"
    assert stack.destroy(program) == {"delete": 3}
    assert api.value("configmap", "settings", ".metadata.name", space) == ""


def test_values_changed_by_hand_are_seen_by_refresh_and_taken_back(
    stack: Stack, api: Api, chart: Path, namespace: str, binaries: dict[str, Path]
) -> None:
    program = release(api, chart, namespace)
    stack.up(program)
    name = stack.outputs()["status"]["name"]
    command = [binaries["helm"], "upgrade", name, chart, "-n", namespace, "--reuse-values", "--set=color=green"]
    environment = {"KUBECONFIG": str(api.folder / "kubeconfig"), "HOME": str(api.folder)}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert stack.refresh(program) == {"same": 2, "update": 1}
    assert stack.up(program) == {"same": 2, "update": 1}
    assert api.value("configmap", "settings", ".data.color", namespace) == "red"


def test_a_first_install_that_fails_names_the_reason_and_is_healed_by_the_next_update(
    stack: Stack, api: Api, chart: Path, namespace: str
) -> None:
    said = stack.refused("up", release(api, chart, namespace, replicas=1, timeout=3))
    assert "helm upgrade: Error: context deadline exceeded; painter: 0 of 1 replicas available" in said
    assert TOKEN not in said
    assert stack.up(release(api, chart, namespace)) == {"same": 2, "update": 1}
    assert stack.outputs()["status"]["status"] == "deployed"


def test_a_lock_left_by_a_killed_helm_is_taken_back(stack: Stack, api: Api, chart: Path, namespace: str) -> None:
    stack.up(release(api, chart, namespace, name="painter"))
    secret = "sh.helm.release.v1.painter.v1"
    stored = base64.b64decode(base64.b64decode(api.value("secret", secret, ".data.release", namespace)))
    record = json.loads(gzip.decompress(stored))
    record["info"]["status"] = "pending-install"
    coded = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(record).encode()))).decode()
    api.kubectl("patch", "secret", secret, "-n", namespace, "-p", json.dumps({"data": {"release": coded}}))
    assert stack.up(release(api, chart, namespace, "blue", name="painter")) == {"same": 2, "update": 1}
    assert stack.outputs()["status"]["status"] == "deployed"


def test_an_input_that_is_not_served_is_refused_by_name(stack: Stack, api: Api, chart: Path) -> None:
    said = stack.refused("preview", release(api, chart, "default", lint=True, postrender="x"))
    assert "helm.sh/v3:Release: lint, postrender not served, allowed ['atomic', 'chart'" in said
