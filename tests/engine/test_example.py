"""`examples/python` by the literal `pulumi`: components through the component host, as other languages use them."""

import json
import shutil
import sys
import time
from pathlib import Path

import pytest

from tests.engine.apiserver import Api
from tests.engine.checkout import DIGEST, Checkout
from tools.paths import PROJECT

pytestmark = pytest.mark.engine
SPACE = "example-models"
WAIT_SECONDS = 60.0
HOST = "urn:pulumi:dev::modelway-example::modelway:index:"
RESOURCES = {
    "urn:pulumi:dev::modelway-example::pulumi:providers:kubernetes::cluster",
    f"{HOST}RestrictedNamespace::example-models",
    f"{HOST}RestrictedNamespace$kubernetes:core/v1:Namespace::example-models-namespace",
    f"{HOST}RestrictedNamespace$kubernetes:networking.k8s.io/v1:NetworkPolicy::example-models-default-deny",
    f"{HOST}ModelServer::example-v1",
    f"{HOST}ModelServer$kubernetes:core/v1:ServiceAccount::example-v1-service-account",
    f"{HOST}ModelServer$kubernetes:core/v1:Service::example-v1-service",
    f"{HOST}ModelServer$kubernetes:networking.k8s.io/v1:NetworkPolicy::example-v1-network-policy",
    f"{HOST}ModelServer$kubernetes:apps/v1:Deployment::example-v1-deployment",
}


@pytest.fixture
def example(tmp_path: Path, environment: dict[str, str], api: Api) -> Checkout:
    """The example in a checkout, with a stack for the API server."""
    shutil.copytree(PROJECT / "examples/python", tmp_path / "examples/python")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "components").symlink_to(PROJECT / "components")
    (tmp_path / "backend").mkdir()
    backend = {"PULUMI_BACKEND_URL": f"file://{tmp_path / 'backend'}"}
    work = Checkout(tmp_path / "examples/python", {**environment, **backend})
    work.pulumi("stack", "init", "dev")
    work.pulumi("config", "set", "kubeconfig", str(api.folder / "kubeconfig"), "-s", "dev")
    work.pulumi("config", "set", "image", f"127.0.0.1:5000/example@{DIGEST}", "-s", "dev")
    return work


def make_ready(api: Api) -> None:
    """Do a node's part: as soon as the Deployment has made a pod, say that it runs and that the Service reaches it."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (pod := api.kubectl("get", "pods", "-n", SPACE, "-o", "name").strip()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}
    status = json.dumps({"status": {"phase": "Running", "conditions": [ready]}})
    api.kubectl("patch", pod, "-n", SPACE, "--subresource=status", "--type=merge", "-p", status)
    # The controller leaves out a pod that has no node.
    reached = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "by-hand", "labels": {"kubernetes.io/service-name": "example-v1"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.0.0.7"], "conditions": {"ready": True}}],
    }
    api.kubectl("create", "-n", SPACE, "-f", "-", stdin=json.dumps(reached))


def test_the_example_deploys_a_model_server_through_the_component_host(example: Checkout, api: Api) -> None:
    planned = json.loads(example.pulumi("preview", "-s", "dev", "--json"))
    assert [each["message"] for each in planned["diagnostics"] if each["severity"] == "error"] == []
    assert {step["urn"] for step in planned["steps"][1:]} == RESOURCES
    with example.start("up", "-s", "dev", "--yes", "--skip-preview") as process:
        make_ready(api)
        said, complaint = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0, said + complaint
    state = {each["urn"]: each for each in example.resources("dev") if each["urn"] in RESOURCES}
    assert {*state} == RESOURCES
    assert state[f"{HOST}ModelServer::example-v1"]["outputs"] == {
        "ready": True,
        "service": "example-v1",
        "version": "v1",
    }
    assert api.value("deployment", "example-v1", ".spec.template.spec.containers[0].image", SPACE).endswith(DIGEST)
    assert "10 unchanged" in example.pulumi("up", "-s", "dev", "--yes", "--skip-preview")
    example.pulumi("destroy", "-s", "dev", "--yes", "--skip-preview")
    assert api.value("namespace", SPACE, ".metadata.name") == ""


def test_a_component_refuses_a_bad_input_with_its_sentence(example: Checkout) -> None:
    example.pulumi("config", "set", "image", "example:v1", "-s", "dev")
    said = example.refused("preview", "-s", "dev")
    assert (
        "ModelServer(\"example-v1\").image: no digest: got 'example:v1', allowed REPOSITORY@sha256:<64 hex digits>; "
        "write the digest that the push printed." in said
    )
