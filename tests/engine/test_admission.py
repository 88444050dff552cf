"""The API server's own admission of every object that we write: schema, defaults, rules in the CRDs, Pod Security."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.apiserver import Api, running
from tests.judges import charts, pod_security
from tests.unit.k8s_objects import crds, sets

pytestmark = pytest.mark.engine

Manifest = dict[str, Any]
CREATE = ("create", "-f", "-")
DRY_RUN = (*CREATE, "--dry-run=server", "--validate=strict", "--warnings-as-errors")


def text(manifests: list[Manifest]) -> str:
    return "\n".join(json.dumps(manifest) for manifest in manifests)


@pytest.fixture(scope="module")
def rendered() -> list[Manifest]:
    """All sets but the one that differs in names only, and what the charts make of them."""
    ours = [manifest for name, manifests in sets().items() if name != "versions-8" for manifest in manifests]
    return [*ours, *(manifest for manifests in charts.rendered().values() for manifest in manifests)]


@pytest.fixture(scope="module")
def server(
    rendered: list[Manifest], binaries: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """An API server with our CRDs, our restricted namespaces and the accounts of our pods; the shared one has others."""
    with running(tmp_path_factory.mktemp("api"), binaries) as api:
        definitions = crds()
        api.kubectl(*CREATE, stdin=text(definitions))
        api.wait_for_types(*(crd["metadata"]["name"] for crd in definitions))
        namespaces = list(
            {
                manifest["metadata"]["name"]: manifest for manifest in rendered if manifest["kind"] == "Namespace"
            }.values()
        )
        api.kubectl(*CREATE, stdin=text([*namespaces, {**namespaces[0], "metadata": {"name": "more-models"}}]))
        accounts = {
            (manifest["metadata"]["namespace"], manifest["metadata"]["name"]): manifest
            for manifest in rendered
            if manifest["kind"] == "ServiceAccount"
        }
        api.kubectl(*CREATE, stdin=text(list(accounts.values())))
        yield api


def test_every_object_is_taken_without_a_warning(server: Api, rendered: list[Manifest]) -> None:
    there = ("Namespace", "ServiceAccount")
    asked = [manifest for manifest in rendered if manifest["kind"] not in there]
    answer = server.kubectl(*DRY_RUN, stdin=text(asked))
    assert answer.count("(server dry run)") == len(asked) > 150


def pods(manifests: list[Manifest]) -> list[Manifest]:
    """A pod of each template, where its Deployment or Job would make it."""
    owners = {
        f"{manifest['kind']}/{manifest['metadata']['name']}": manifest["metadata"]["namespace"]
        for manifest in manifests
        if "template" in manifest.get("spec", {})
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**pod["metadata"], "name": f"pod-{number}", "namespace": owners[name]},
            "spec": {"restartPolicy": "Always", **pod["spec"]},
        }
        for number, (name, pod) in enumerate(pod_security.templates(manifests))
    ]


def test_every_pod_is_admitted_to_its_restricted_namespace(server: Api, rendered: list[Manifest]) -> None:
    asked = pods(rendered)
    answer = server.kubectl(*DRY_RUN, stdin=text(asked))
    assert answer.count("(server dry run)") == len(asked) > 20


def test_a_harmed_pod_an_unknown_field_and_a_broken_rule_are_refused(server: Api, rendered: list[Manifest]) -> None:
    privileged = next(pod for pod in pods(rendered) if pod["metadata"]["namespace"] == "modelway-models")
    privileged["spec"] = {**privileged["spec"], "hostNetwork": True}
    service = next(manifest for manifest in rendered if manifest["kind"] == "Service")
    misspelt = {**service, "spec": {**service["spec"], "typ": "ClusterIP"}}
    route = next(manifest for manifest in rendered if manifest["metadata"]["name"] == "mixed-split")
    redirect = {"type": "RequestRedirect", "requestRedirect": {"statusCode": 301}}
    broken = {**route, "spec": {**route["spec"], "rules": [{**route["spec"]["rules"][0], "filters": [redirect]}]}}
    for manifest, said in (
        (privileged, 'violates PodSecurity "restricted'),
        (misspelt, 'unknown field "spec.typ"'),
        (broken, "RequestRedirect filter must not be used together with backendRefs"),
    ):
        with pytest.raises(AssertionError, match=said):
            server.kubectl(*DRY_RUN, stdin=json.dumps(manifest))
