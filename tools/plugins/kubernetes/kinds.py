"""The types that this plugin serves, and what the API server does not let change in place."""

import re
from typing import NamedTuple

RELEASE = "kubernetes:helm.sh/v3:Release"
_SERVED = {
    "core/v1": "Namespace PersistentVolumeClaim ServiceAccount ConfigMap Secret Service",
    "apps/v1": "DaemonSet Deployment", "policy/v1": "PodDisruptionBudget", "coordination.k8s.io/v1": "Lease",
    "autoscaling/v2": "HorizontalPodAutoscaler", "networking.k8s.io/v1": "Ingress NetworkPolicy",
    "rbac.authorization.k8s.io/v1": "Role RoleBinding ClusterRole ClusterRoleBinding",
    "apiextensions.k8s.io/v1": "CustomResourceDefinition",
    "admissionregistration.k8s.io/v1": "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding",
    "apiregistration.k8s.io/v1": "APIService",
    "cert-manager.io/v1": "Issuer Certificate",
    "keda.sh/v1alpha1": "ScaledObject",
    "monitoring.coreos.com/v1": "PrometheusRule",
    "monitoring.coreos.com/v1alpha1": "ScrapeConfig",
    "gateway.networking.k8s.io/v1": "GatewayClass Gateway HTTPRoute",
    "gateway.envoyproxy.io/v1alpha1": "EnvoyProxy BackendTrafficPolicy ClientTrafficPolicy EnvoyExtensionPolicy "
    "EnvoyPatchPolicy HTTPRouteFilter SecurityPolicy",
}  # fmt: skip
_CLUSTER_WIDE = re.compile("Namespace|Cluster.*|CustomResource.*|Validating.*|GatewayClass|APIService")
_REPLACES = {"ConfigMap": ("data", "binaryData"), "Secret": ("type", "data"), "Service": ("spec.clusterIP",),
    "DaemonSet": ("spec.selector",), "PersistentVolumeClaim": ("spec.accessModes", "spec.storageClassName"),
    "Deployment": ("spec.selector",), "RoleBinding": ("roleRef",), "ClusterRoleBinding": ("roleRef",)}  # fmt: skip


class Kind(NamedTuple):
    """One type: `apps/v1`, `Deployment`, `deployments`, whether it lives in namespaces, and which paths replace."""

    api_version: str
    name: str
    plural: str
    namespaced: bool
    replaces: tuple[str, ...]

    def path(self, namespace: str, name: str = "") -> str:
        """URL path of the collection, or of one object."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        return f"{root}{f'/namespaces/{namespace}' if self.namespaced else ''}/{self.plural}/{name}".rstrip("/")


def _kind(group: str, name: str) -> Kind:
    plural = re.sub("[^aeiou]y$", lambda end: f"{end[0][0]}ie", name.lower()) + ("es" if name.endswith("s") else "s")
    replaces = ("metadata.name", "metadata.namespace", *_REPLACES.get(name, ()))
    return Kind(group.removeprefix("core/"), name, plural, not _CLUSTER_WIDE.fullmatch(name), replaces)


TYPES = {f"kubernetes:{group}:{name}": _kind(group, name) for group, names in _SERVED.items() for name in names.split()}
"""Every object type served, by Pulumi type token; `RELEASE` and the provider itself are served besides."""
