"""A namespace whose pods must be restricted and whose traffic is denied unless a policy allows it."""

from typing import NotRequired, TypedDict

import pulumi

from modelway._common import Manifest, labels, register, require_dns_label, type_token

POD_SECURITY_VERSION = "v1.34"
"""Pod Security Standard that is enforced; pinned, so that a cluster upgrade changes nothing by itself."""

ROUTES_LABEL = "modelway.dev/routes"
"""Namespaces with this label set to `true` may attach routes to a `Gateway`."""


def namespace_manifest(name: str, routes: bool = False) -> Manifest:
    """Namespace with the `restricted` Pod Security Standard enforced, audited and warned about."""
    pod_security = {
        f"pod-security.kubernetes.io/{mode}{suffix}": value
        for mode in ("enforce", "audit", "warn")
        for suffix, value in (("", "restricted"), ("-version", POD_SECURITY_VERSION))
    }
    own = {"app.kubernetes.io/part-of": "modelway", **({ROUTES_LABEL: "true"} if routes else {})}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": own | pod_security}}


def default_deny_manifest(namespace: str) -> Manifest:
    """NetworkPolicy that denies all traffic of every pod which no other policy selects."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": "default-deny",
            "namespace": namespace,
            "labels": labels("default-deny", "network-policy"),
        },
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    }


class RestrictedNamespaceArgs(TypedDict):
    """Inputs of `RestrictedNamespace`."""

    name: NotRequired[str]
    """Name of the namespace. Defaults to the component's name."""
    routes: NotRequired[bool]
    """Whether routes in it may attach to a `Gateway`. Defaults to false."""


class RestrictedNamespace(pulumi.ComponentResource):
    """A namespace with the `restricted` Pod Security Standard enforced and a default-deny NetworkPolicy."""

    name: pulumi.Output[str]
    """Name of the namespace, known once it exists."""

    def __init__(self, name: str, args: RestrictedNamespaceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("RestrictedNamespace"), name, {}, opts)
        namespace_name = args.get("name", name)
        require_dns_label(f'RestrictedNamespace("{name}").name', namespace_name)
        child = pulumi.ResourceOptions(parent=self)
        namespace = register(f"{name}-namespace", namespace_manifest(namespace_name, args.get("routes", False)), child)
        register(
            f"{name}-default-deny",
            default_deny_manifest(namespace_name),
            pulumi.ResourceOptions(parent=self, depends_on=[namespace]),
        )
        self.name = namespace.metadata["name"]  # type: ignore[attr-defined]
        self.register_outputs({"name": self.name})
