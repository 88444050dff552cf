"""What Calico needs in the cluster to enforce NetworkPolicy: its kinds, its rights, its go-ahead, as plain dicts."""

from typing import Any

from tools.node.pki import CALICO_USER

Object = dict[str, Any]

GROUP = "crd.projectcalico.org"
ROLE = "modelway:calico"
KINDS = {
    "BGPConfiguration": "bgpconfigurations",
    "ClusterInformation": "clusterinformations",
    "FelixConfiguration": "felixconfigurations",
    "GlobalNetworkPolicy": "globalnetworkpolicies",
    "GlobalNetworkSet": "globalnetworksets",
    "HostEndpoint": "hostendpoints",
    "IPPool": "ippools",
    "NetworkPolicy": "networkpolicies",
    "NetworkSet": "networksets",
}
"""Kinds that Felix watches → name in URLs. Nobody writes any but one, so they need no schema here."""
NAMESPACED = ("NetworkPolicy", "NetworkSet")


def objects() -> list[Object]:
    """Everything, in the order of creation; the last is refused until the API server knows its kind."""
    watch = ["get", "list", "watch"]
    rules = [
        {"apiGroups": [""], "resources": ["namespaces", "nodes", "pods", "services"], "verbs": watch},
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": watch},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": watch},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": watch},
        {"apiGroups": [GROUP], "resources": sorted(KINDS.values()), "verbs": watch},
        # The plugin notes a pod's address there before kubelet does, so that policies hold from the first packet.
        {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch"]},
    ]
    rbac = "rbac.authorization.k8s.io"
    return [
        *(_kind(kind, plural) for kind, plural in KINDS.items()),
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": ROLE}, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": ROLE},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": ROLE},
            "subjects": [{"kind": "User", "name": CALICO_USER, "apiGroup": rbac}],
        },
        {
            "apiVersion": f"{GROUP}/v1",
            "kind": "ClusterInformation",
            "metadata": {"name": "default"},
            "spec": {"datastoreReady": True},
        },
    ]


def _kind(kind: str, plural: str) -> Object:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if kind in NAMESPACED else "Cluster",
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
