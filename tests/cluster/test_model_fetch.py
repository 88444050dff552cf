"""Models that pods fetch: from a bucket with a Secret's keys and from a volume, beside one that is in its image."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.stack import PROJECT, Stack, assert_serves
from tests.environments import environment
from tools.node.layout import NODE_ADDRESS, Layout
from tools.node.lifecycle import enter

# The first one waits for the node.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1500)]

SERVER = ("moto[s3,server]==5.2.5",)
NAMESPACE, MODEL, SECRET, CLAIM = "modelway-models", "fetched", "models-store", "models-volume"
KEYS = "[default]\naws_access_key_id = AKIDEXAMPLE\naws_secret_access_key = secret\n"
ARTIFACT = PROJECT / "build/breast-cancer/v2/artifact"
DEADLINE_SECONDS = 120.0


def manifest_sha256() -> str:
    return sha256((ARTIFACT / "manifest.json").read_bytes()).hexdigest()


@contextmanager
def object_store(stack: Stack) -> Iterator[str]:
    """The URL of an S3 beside the node, which pods reach, with the artifact in `models/breast-cancer/v2`."""
    python, script = environment("moto", *SERVER) / "bin" / "python", Path(__file__).with_name("object_store.py")
    node = enter(Layout(stack.state / "node"), [])[2]
    command = ["nsenter", f"--target={node}", "--net", "--", str(python), str(script)]
    command += [NODE_ADDRESS, str(ARTIFACT), "models", "breast-cancer/v2"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert url.startswith(f"http://{NODE_ADDRESS}:")
        yield url
    finally:
        process.kill()
        process.communicate()


def volume(stack: Stack, folder: Path) -> None:
    """A claim in the models' namespace over a folder of the node, with the artifact in `breast-cancer/v2`."""
    shutil.copytree(ARTIFACT, folder / "breast-cancer/v2")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    size = {"storage": "100Mi"}
    common: dict[str, Any] = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
    persistent = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": CLAIM},
        "spec": {
            **common,
            "capacity": size,
            "hostPath": {"path": str(folder)},
            "persistentVolumeReclaimPolicy": "Retain",
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM, "namespace": NAMESPACE},
        "spec": {**common, "resources": {"requests": size}, "volumeName": CLAIM},
    }
    for manifest in (persistent, claim):
        stack.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))


@pytest.fixture(scope="module")
def urls(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """URL of each version of the model `fetched`; afterwards the stack is as it was."""
    folder = tmp_path_factory.mktemp("fetched")
    (folder / "keys").write_text(KEYS)
    stack.kubectl("create", "secret", "generic", SECRET, "-n", NAMESPACE, f"--from-file=credentials={folder / 'keys'}")
    volume(stack, folder / "volume")
    with object_store(stack) as url:
        common = {"sha256": manifest_sha256(), "serverImage": "breast-cancer:v1", "replicas": 1, "weight": 0}
        credentials = {"secret": SECRET, "key": "credentials"}
        bucket = {"endpoint": url, "region": "us-east-1", "credentials": credentials, "sizeLimitMib": 16}
        versions: list[dict[str, Any]] = [
            {"name": "baked", "image": "breast-cancer:v1", "weight": 100, "replicas": 1},
            {"name": "bucket", "model": "s3://models/breast-cancer/v2", "fetch": bucket, **common},
            {"name": "volume", "model": "file:///breast-cancer/v2", "fetch": {"volumeClaim": CLAIM}, **common},
        ]
        _, *found = stack.up_with({"name": MODEL, "versions": versions}, folder / "project")
        yield dict(zip(("baked", "bucket", "volume"), found, strict=True))
        stack.modelway("up", "node")
    stack.kubectl("delete", "pvc", "-n", NAMESPACE, CLAIM)
    stack.kubectl("delete", "pv", CLAIM)
    stack.kubectl("delete", "secret", "-n", NAMESPACE, SECRET)


@pytest.mark.parametrize(("version", "source"), [("baked", "v1"), ("bucket", "v2"), ("volume", "v2")])
def test_a_version_serves_what_it_fetched_or_has_in_its_image(
    stack: Stack, urls: dict[str, str], version: str, source: str
) -> None:
    assert urls[version] == f"{stack.gateway}/{MODEL}/{version}/predict"
    assert_serves(stack.reference(source), urls[version], {}, version=version)


def pods(stack: Stack, version: str) -> list[dict[str, Any]]:
    selector = f"app.kubernetes.io/name={MODEL},app.kubernetes.io/version={version}"
    found: list[dict[str, Any]] = json.loads(
        stack.kubectl("get", "pods", "-n", NAMESPACE, "-l", selector, "-o", "json")
    )["items"]
    return found


@pytest.mark.usefixtures("urls")
def test_only_the_init_container_sees_the_credentials_and_nobody_a_token(stack: Stack) -> None:
    (pod,) = pods(stack, "bucket")
    name = pod["metadata"]["name"]
    program = "import os; print(sorted(os.listdir('/var/lib/modelway/model')), os.path.exists('/var/run/secrets'))"
    seen = stack.kubectl("exec", "-n", NAMESPACE, name, "-c", "server", "--", "python3", "-c", program)
    assert seen == f"{sorted(file.name for file in ARTIFACT.iterdir())} False\n"
    written = "open('/var/lib/modelway/model/x', 'w')"
    refused = stack.kubectl("exec", "-n", NAMESPACE, name, "-c", "server", "--", "python3", "-c", written, check=False)
    assert "Read-only file system" in refused


def test_a_wrong_sum_fails_the_pod_with_one_line_and_the_old_one_serves_on(
    stack: Stack, urls: dict[str, str], figure: Callable[[str], None]
) -> None:
    (old,) = pods(stack, "volume")
    wrong = "0" * 64
    fetch = {"name": "fetch", "env": [{"name": "MODELWAY_FETCH_SHA256", "value": wrong}]}
    patch = {"spec": {"template": {"spec": {"initContainers": [fetch]}}}}
    started, answered = time.monotonic(), 0
    stack.kubectl("patch", "deployment", f"{MODEL}-volume", "-n", NAMESPACE, "-p", json.dumps(patch))
    row = stack.reference("v2")["rows"][0]
    with httpx.Client(trust_env=False) as client:
        while (message := _failure(stack, old["metadata"]["name"])) is None:
            assert time.monotonic() - started < DEADLINE_SECONDS
            assert client.post(urls["volume"], json=row).status_code == 200
            answered += 1
        seconds = time.monotonic() - started
        for _ in range(100):
            assert client.post(urls["volume"], json=row).json()["version"] == "volume"
    assert message == (
        "file:///breast-cancer/v2/manifest.json: is not the file that was asked for: "
        f"got sha256 {manifest_sha256()}, allowed sha256 {wrong}; publish the model again, or correct the sha256.\n"
    )
    figure(f"wrong sum: pod failed with one line after {seconds:.1f} s, {answered + 100} requests served meanwhile")


def _failure(stack: Stack, old: str) -> str | None:
    """What the new pod's init container says of its end; its server never started."""
    for pod in pods(stack, "volume"):
        if pod["metadata"]["name"] != old:
            (status,) = pod["status"].get("initContainerStatuses", [{}])
            ended = (status.get("state") or {}).get("terminated") or (status.get("lastState") or {}).get("terminated")
            if ended is not None:
                assert ended["exitCode"] == 1
                assert all("running" not in each["state"] for each in pod["status"]["containerStatuses"])
                message: str = ended["message"]
                return message
    return None
