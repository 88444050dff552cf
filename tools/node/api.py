"""A small client of the node's API server, for what the node itself applies and waits for."""

import json
import ssl
from pathlib import Path
from typing import Any

import httpx

from tools.node.addons import Object

FIELD_MANAGER = "modelway-node"
TIMEOUT_SECONDS = 10.0

PLURALS = {
    ("v1", "ConfigMap"): "configmaps",
    ("v1", "Namespace"): "namespaces",
    ("v1", "Secret"): "secrets",
    ("v1", "Service"): "services",
    ("v1", "ServiceAccount"): "serviceaccounts",
    ("apps/v1", "Deployment"): "deployments",
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): "customresourcedefinitions",
    ("apiregistration.k8s.io/v1", "APIService"): "apiservices",
    ("crd.projectcalico.org/v1", "ClusterInformation"): "clusterinformations",
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): "clusterroles",
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): "clusterrolebindings",
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): "rolebindings",
}
"""Every kind of the add-ons → its name in URLs; a discovery request for each run would cost more than this table."""


class Api:
    """Talks to one API server with one client certificate. Raises `httpx.HTTPError` and what is below it."""

    def __init__(self, server: str, authority: Path, certificate: Path, key: Path) -> None:
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(certificate, key)
        # trust_env: a proxy of the machine must not see requests to its own loopback.
        self._client = httpx.Client(base_url=server, verify=context, timeout=TIMEOUT_SECONDS, trust_env=False)

    def __enter__(self) -> "Api":
        """Open for a `with` block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str) -> Any:
        """The decoded JSON answer; raises `httpx.HTTPStatusError` unless the status is 2xx."""
        return self._client.get(path).raise_for_status().json()

    def text(self, path: str) -> str:
        """The answer as text, whatever its status."""
        return self._client.get(path).text

    def apply(self, wanted: Object) -> None:
        """Server-side apply; fields that others own and this object names are taken over."""
        answer = self._client.patch(
            path_of(wanted),
            params={"fieldManager": FIELD_MANAGER, "force": "true"},
            headers={"Content-Type": "application/apply-patch+yaml"},
            content=json.dumps(wanted),
        )
        answer.raise_for_status()


def path_of(wanted: Object) -> str:
    """URL path of an object."""
    version, metadata = wanted["apiVersion"], wanted["metadata"]
    prefix = f"/api/{version}" if version == "v1" else f"/apis/{version}"
    if "namespace" in metadata:
        prefix += f"/namespaces/{metadata['namespace']}"
    return f"{prefix}/{PLURALS[version, wanted['kind']]}/{metadata['name']}"


def condition(subject: Object, kind: str) -> Object:
    """One of the conditions in an object's status; empty where it is not there yet."""
    conditions = subject.get("status", {}).get("conditions") or []
    return next((entry for entry in conditions if entry["type"] == kind), {})
