"""A plain Ingress for clusters whose entrance is one: it knows hosts and paths, and no more of a model's routes."""

from typing import TypedDict

from modelway._common import Manifest, labels
from modelway.serving.routes import RouteSpec


class IngressArgs(TypedDict):
    """The Ingress controller that serves a model instead of the Gateway."""

    class_name: str
    """Name of the IngressClass."""
    namespace: str
    """Namespace of the controller, all of whose pods may then ask the server."""


def ingress_manifest(spec: RouteSpec, class_name: str) -> Manifest:
    """The Ingress of a model with one version; `routes_checks` says which models can have one."""
    (arm,) = spec.arms
    service = {"service": {"name": arm.service, "port": {"name": "http"}}}
    paths = [
        {"path": path.public, "pathType": "Prefix" if path.prefix else "Exact", "backend": service}
        for path in arm.server.paths
        if path.split
    ]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {
            "name": f"{spec.model}-split",
            "namespace": spec.namespace,
            "labels": labels(spec.model, "route"),
            # Not every controller writes an address into the status.
            "annotations": {"pulumi.com/skipAwait": "true"},
        },
        "spec": {"ingressClassName": class_name, "rules": [{"host": spec.host, "http": {"paths": paths}}]},
    }
