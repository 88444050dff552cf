"""Every object that the components write fits the schemas of three Kubernetes minors, and of our CRDs, strictly."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import kubernetes_validate
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from modelway._common import CUSTOM_KINDS

from tests.unit.k8s_objects import crds, sets

Manifest = dict[str, Any]
MINORS = ("1.34", "1.35", "1.36")
SETS = {name: manifests for name, manifests in sets().items() if name != "versions-8"}
"""The same objects eight times tell no more."""


@pytest.fixture(scope="module", autouse=True)
def _schemas_are_read_once() -> Iterator[None]:
    """kubernetes-validate reads all definitions of a minor anew for every object."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kubernetes_validate.utils, "schema_contents", cache(kubernetes_validate.utils.schema_contents))
        yield


def custom(manifest: Manifest) -> bool:
    return (manifest["apiVersion"], manifest["kind"]) in CUSTOM_KINDS


@pytest.mark.parametrize("minor", MINORS)
@pytest.mark.parametrize("name", SETS)
def test_every_object_fits_the_schema_of_each_minor(name: str, minor: str) -> None:
    for manifest in SETS[name]:
        if not custom(manifest):
            assert kubernetes_validate.validate(manifest, minor, strict=True) == minor


@cache
def validator(api_version: str, kind: str) -> Draft202012Validator:
    """The schema of a custom kind; `strict` of unknown fields as the API server's own validation is."""
    group, version = api_version.split("/")
    (crd,) = [crd for crd in crds() if (crd["spec"]["group"], crd["spec"]["names"]["kind"]) == (group, kind)]
    (found,) = [entry for entry in crd["spec"]["versions"] if entry["name"] == version]
    return Draft202012Validator(strict(found["schema"]["openAPIV3Schema"], top=True))


def strict(schema: Any, top: bool = False) -> Any:
    """A CRD's schema as JSON Schema: no field beside its own, except the names of the object itself."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items() if key not in ("properties", "pattern", "format")}
    if schema.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    if "properties" in schema:
        made["properties"] = {name: strict(value) for name, value in schema["properties"].items()}
        if "type" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = False
        if top:
            made["properties"]["metadata"] = True
    return made


@pytest.mark.parametrize("name", [name for name, manifests in SETS.items() if any(map(custom, manifests))])
def test_every_custom_object_fits_the_schema_of_its_crd(name: str) -> None:
    for manifest in filter(custom, SETS[name]):
        validator(manifest["apiVersion"], manifest["kind"]).validate(manifest)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "typ"), "x"),
        (("spec", "listeners", 0, "port"), 0),
        (("spec", "listeners", 0, "allowedRoutes", "namespaces", "from"), "Any"),
        (("spec", "gatewayClassName"), 1),
    ],
)
def test_a_custom_object_that_does_not_fit_is_found(path: tuple[Any, ...], value: Any) -> None:
    (gateway,) = [manifest for manifest in sets()["gateway"] if manifest["kind"] == "Gateway"]
    place = gateway
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValidationError):
        validator(gateway["apiVersion"], "Gateway").validate(gateway)


def test_an_object_that_does_not_fit_is_found() -> None:
    manifest = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"typ": "ClusterIP"}}
    for minor in MINORS:
        with pytest.raises(kubernetes_validate.ValidationError, match="typ"):
            kubernetes_validate.validate(manifest, minor, strict=True)
