"""Servers that nobody here wrote a line of: FastAPI, Flask and Tornado behind the gateway, as `runtime: container`."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.load import Load
from tests.cluster.stack import PORTS, PROJECT, Stack, assert_serves
from tools import images
from tools.progress import Progress

pytestmark = pytest.mark.cluster

SERVERS = ("fastapi", "flask", "tornado")
CONTAINERS: dict[str, dict[str, Any]] = {"fastapi": {"adminPort": 8080}, "flask": {}, "tornado": {}}


def image_of(name: str, folder: Path) -> str:
    """The example `name` with the first version of the shipped model, in the node's registry."""
    context = folder / name
    shutil.copytree(PROJECT / "examples/servers" / name, context, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PROJECT / "build/breast-cancer/v1/artifact", context / "artifact")
    image = images.build(context, f"example-{name}:v1", {}, Progress())
    return images.push(image, f"127.0.0.1:{PORTS['MODELWAY_REGISTRY_PORT']}/example-{name}:v1", Progress())


@pytest.fixture(scope="module")
def urls(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """URLs of the model `servers`, whose versions are the three servers; afterwards the stack is as it was."""
    folder = tmp_path_factory.mktemp("servers")
    weights = dict(zip(SERVERS, (34, 33, 33), strict=True))
    versions = [
        {
            "name": name,
            "image": image_of(name, folder),
            "runtime": "container",
            "container": CONTAINERS[name],
            "weight": weights[name],
            "replicas": 1,
        }
        for name in SERVERS
    ]
    yield stack.up_with({"name": "servers", "versions": versions}, folder / "project")
    stack.modelway("up", "node")


def test_each_server_has_a_url_beside_the_split(stack: Stack, urls: list[str]) -> None:
    paths = ["predict", *(f"{name}/predict" for name in SERVERS)]
    assert urls == [f"{stack.gateway}/servers/{path}" for path in paths]


@pytest.mark.parametrize("name", SERVERS)
@pytest.mark.parametrize("how", ["path", "header"])
def test_every_server_predicts_what_the_model_was_trained_to(
    stack: Stack, urls: list[str], name: str, how: str
) -> None:
    reference = stack.reference("v1")
    url, headers = urls[1 + SERVERS.index(name)], {}
    if how == "header":
        url, headers = urls[0], {"x-model-version": name}
    assert_serves(reference, url, headers, version=name)


def test_the_split_meets_all_of_them(stack: Stack, urls: list[str]) -> None:
    row = stack.reference("v1")["rows"][0]
    with httpx.Client(trust_env=False) as client:
        versions = {client.post(urls[0], json=row).headers["x-modelway-version"] for _ in range(200)}
    assert versions == set(SERVERS)


@pytest.mark.usefixtures("urls")
@pytest.mark.parametrize("path", ["metrics", "healthz", "readyz", "v2/models/servers", "docs"])
@pytest.mark.parametrize("name", ["", "/fastapi", "/flask", "/tornado"])
def test_nothing_but_predict_is_routed_even_where_one_port_serves_all(stack: Stack, name: str, path: str) -> None:
    assert httpx.get(f"{stack.gateway}/servers{name}/{path}", trust_env=False).status_code == 404


def test_prometheus_has_the_metrics_of_every_server(stack: Stack, urls: list[str]) -> None:
    row = stack.reference("v1")["rows"][0]
    deadline = time.monotonic() + 120
    found: set[str] = set()
    with httpx.Client(trust_env=False) as client:
        while found != set(SERVERS) and time.monotonic() < deadline:
            for url in urls[1:]:
                client.post(url, json=row)
            samples = stack.prometheus('model_version:modelway_requests:rate1m{model="servers"} > 0')
            found = {sample["metric"]["version"] for sample in samples}
    assert found == set(SERVERS)
    assert stack.prometheus('up{job="model-servers"} == 0') == []


def test_a_rollout_of_every_server_loses_no_request(
    stack: Stack, urls: list[str], figure: Callable[[str], None]
) -> None:
    row = stack.reference("v1")["rows"][0]
    deployments = [f"deployment/servers-{name}" for name in SERVERS]
    selector = (
        "-n",
        "modelway-models",
        "-l",
        "app.kubernetes.io/name=servers,app.kubernetes.io/component=model-server",
    )
    old = stack.kubectl("get", "pods", *selector, "-o", "name").split()
    with Load(urls[0], row, rate=50) as outcome:
        stack.kubectl("rollout", "restart", "-n", "modelway-models", *deployments)
        for deployment in deployments:
            stack.kubectl("rollout", "status", "-n", "modelway-models", deployment, "--timeout=180s")
        # A pod gets SIGTERM when its drain is over, long after the rollout says that it is complete.
        stack.kubectl("wait", "-n", "modelway-models", "--for=delete", *old, "--timeout=120s")
    figure(f"three rollouts under load: {outcome.sent} requests, answers {dict(outcome.answers)}")
    assert outcome.failures == []
