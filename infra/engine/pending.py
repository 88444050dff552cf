"""Repairs the state: creates that a killed run never wrote down, and resources of a cluster that is gone."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Resource = Mapping[str, Any]


@dataclass(frozen=True)
class Pending:
    """The creates of a killed run."""

    adopt: Mapping[str, str]
    """URN to id of the objects that may exist: the engine reads them, and keeps those that do."""
    forget: tuple[str, ...]
    """URNs of those that cannot be read again; their creation repeats. Components do not count: nothing is lost."""


def pending_creates(deployment: Mapping[str, Any]) -> Pending:
    """What an exported deployment still lists as being created."""
    resources = [
        operation["resource"]
        for operation in deployment.get("pending_operations") or []
        if operation.get("type") == "creating"
    ]
    # The replacement of a recorded resource has its URN: both cannot be recorded.
    recorded = {each["urn"] for each in deployment.get("resources") or ()}
    adopt = {
        str(resource["urn"]): name
        for resource in resources
        if resource["urn"] not in recorded and (name := object_id(resource))
    }
    left = (str(resource["urn"]) for resource in resources if resource.get("custom"))
    return Pending(adopt, tuple(urn for urn in left if urn not in adopt))


def object_id(resource: Resource) -> str | None:
    """The id that the Kubernetes provider gives an object of these inputs: `namespace/name` or `name`.

    Without it the object of an interrupted create is unknown to the state, and the provider refuses to
    create it again. None when the inputs name no Kubernetes object.
    """
    kind, inputs = str(resource["type"]), resource.get("inputs") or {}
    if not kind.startswith("kubernetes:"):
        return None
    place = inputs if kind == "kubernetes:helm.sh/v3:Release" else inputs.get("metadata") or {}
    name, namespace = place.get("name"), place.get("namespace")
    if not isinstance(name, str):
        return None
    return f"{namespace}/{name}" if isinstance(namespace, str) else name


def adopted(deployment: Mapping[str, Any], pending: Pending) -> dict[str, Any]:
    """The deployment with the objects of `pending.adopt` as resources, to be read, and no pending operations."""
    resources = list(deployment.get("resources") or ())
    for operation in deployment.get("pending_operations") or ():
        resource = operation["resource"]
        if name := pending.adopt.get(resource["urn"]):
            resources.append({**resource, "id": name})
    return {**deployment, "resources": resources, "pending_operations": []}


def describe(urns: Iterable[str], title: Callable[[str], str]) -> str:
    """The resources of `urns` in one line."""
    return ", ".join(title(urn) for urn in urns)


def forgotten(resources: Sequence[Resource], kept: tuple[str, ...]) -> list[Resource]:
    """What stays of `resources` when all but types with a prefix in `kept` go; references to the rest go too.

    Nothing stays when `kept` is empty. Components stay otherwise: they are the parents of what stays.
    """
    left = [each for each in resources if kept and (not each.get("custom") or str(each["type"]).startswith(kept))]
    urns = {each["urn"] for each in left}
    return [_without_references(each, urns) for each in left]


def _without_references(resource: Resource, urns: set[str]) -> Resource:
    result = dict(resource)
    if "dependencies" in result:
        result["dependencies"] = [urn for urn in result["dependencies"] if urn in urns]
    if "propertyDependencies" in result:
        result["propertyDependencies"] = {
            name: [urn for urn in found or () if urn in urns] for name, found in result["propertyDependencies"].items()
        }
    if result.get("deletedWith") not in urns:
        result.pop("deletedWith", None)
    return result
