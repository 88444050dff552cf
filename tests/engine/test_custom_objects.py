"""The API server's own validation, with the rules in the CRDs, of every custom object that the components write."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from modelway._common import CUSTOM_KINDS, Manifest
from modelway.gateway.objects import GatewaySpec, crd_manifests, gateway_manifests
from modelway.serving.routes import Arm, RouteSpec, route_manifests

from tests.engine.apiserver import Api, running
from tests.unit.runtime_samples import FULL, foreign

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def server(binaries: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API server with the CRDs of the gateway; the shared one has others of the same names."""
    with running(tmp_path_factory.mktemp("api"), binaries) as api:
        crds = [crd for crd in crd_manifests() if crd["kind"] == "CustomResourceDefinition"]
        api.kubectl("create", "-f", "-", stdin="\n".join(json.dumps(crd) for crd in crds))
        names = [f"crd/{crd['metadata']['name']}" for crd in crds]
        api.kubectl("wait", "--for=condition=Established", "--timeout=60s", *names)
        yield api


def routes(name: str, *runtimes: str) -> list[Manifest]:
    """Routes of a model with a version of each runtime."""
    arms = [Arm(runtime, f"{name}-{runtime}", 10, foreign(runtime).server) for runtime in runtimes]
    return route_manifests(RouteSpec(name, "default", "modelway", "modelway-gateway", arms, f"/{name}", "m.example"))


OBJECTS: list[Manifest] = [
    *routes("iris", *(name for name in FULL if name != "vllm")),
    *routes("llm", "vllm"),
    *gateway_manifests(GatewaySpec("modelway", "default", ("modelway-models",), "modelway-monitoring")),
]


@pytest.mark.parametrize("manifest", OBJECTS, ids=lambda each: f"{each['kind']}-{each['metadata']['name']}")
def test_the_api_server_takes_it(server: Api, manifest: Manifest) -> None:
    assert (manifest["apiVersion"], manifest["kind"]) in CUSTOM_KINDS
    server.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(manifest))
