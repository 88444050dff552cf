"""Helpers shared by the components: tokens, numbers, labels and the registration of plain objects."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pulumi

PACKAGE = "modelway"
"""Package part of every type token; must equal the component host's name."""

NODE_PORT = 30080
"""Port of every node that reaches the gateway, unless the gateway is told another."""

DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
"""RFC 1035 label, the form of a Service's name; at most 63 characters."""

Manifest = dict[str, Any]
"""A Kubernetes object as plain data; leaves may be Pulumi outputs."""


def type_token(name: str) -> str:
    """Type token of a component."""
    return f"{PACKAGE}:index:{name}"


def as_int(value: float | None, default: int) -> int:
    """Integers cross the provider boundary as floats; give back a real int."""
    return default if value is None else int(value)


def is_dns_label(value: str) -> bool:
    """Whether `value` may name a Service or a namespace."""
    return len(value) <= 63 and DNS_LABEL.fullmatch(value) is not None


def require_dns_label(argument: str, value: str) -> None:
    """Raise `ValueError` with one sentence when `value` is no DNS label."""
    if not is_dns_label(value):
        raise ValueError(
            f"{argument}: not a DNS label: got {value!r}, allowed lower-case letters, digits and '-', "
            "a letter first, no '-' last, at most 63 characters; rename it."
        )


def labels(name: str, component: str, version: str | None = None) -> dict[str, str]:
    """Recommended labels (https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/)."""
    result = {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": PACKAGE,
    }
    if version is not None:
        result["app.kubernetes.io/version"] = version
    return result


@cache
def classes() -> Mapping[tuple[str, str], Any]:
    """Class of each kind that the SDK has one for; importing them takes a second, so they load on first use."""
    import pulumi_kubernetes as k8s

    return {
        ("v1", "ConfigMap"): k8s.core.v1.ConfigMap,
        ("v1", "Namespace"): k8s.core.v1.Namespace,
        ("v1", "PersistentVolumeClaim"): k8s.core.v1.PersistentVolumeClaim,
        ("v1", "Secret"): k8s.core.v1.Secret,
        ("v1", "Service"): k8s.core.v1.Service,
        ("v1", "ServiceAccount"): k8s.core.v1.ServiceAccount,
        ("apiregistration.k8s.io/v1", "APIService"): k8s.apiregistration.v1.APIService,
        ("apps/v1", "DaemonSet"): k8s.apps.v1.DaemonSet,
        ("apps/v1", "Deployment"): k8s.apps.v1.Deployment,
        ("autoscaling/v2", "HorizontalPodAutoscaler"): k8s.autoscaling.v2.HorizontalPodAutoscaler,
        ("coordination.k8s.io/v1", "Lease"): k8s.coordination.v1.Lease,
        ("networking.k8s.io/v1", "Ingress"): k8s.networking.v1.Ingress,
        ("networking.k8s.io/v1", "NetworkPolicy"): k8s.networking.v1.NetworkPolicy,
        ("policy/v1", "PodDisruptionBudget"): k8s.policy.v1.PodDisruptionBudget,
        ("rbac.authorization.k8s.io/v1", "ClusterRole"): k8s.rbac.v1.ClusterRole,
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): k8s.rbac.v1.ClusterRoleBinding,
        ("rbac.authorization.k8s.io/v1", "Role"): k8s.rbac.v1.Role,
        ("rbac.authorization.k8s.io/v1", "RoleBinding"): k8s.rbac.v1.RoleBinding,
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): k8s.apiextensions.v1.CustomResourceDefinition,
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"): (
            k8s.admissionregistration.v1.ValidatingAdmissionPolicy
        ),
        ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"): (
            k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding
        ),
    }


CUSTOM_KINDS: frozenset[tuple[str, str]] = frozenset(
    {
        ("cert-manager.io/v1", "Certificate"),
        ("cert-manager.io/v1", "Issuer"),
        ("gateway.networking.k8s.io/v1", "Gateway"),
        ("gateway.networking.k8s.io/v1", "GatewayClass"),
        ("gateway.networking.k8s.io/v1", "HTTPRoute"),
        ("gateway.envoyproxy.io/v1alpha1", "BackendTrafficPolicy"),
        ("gateway.envoyproxy.io/v1alpha1", "ClientTrafficPolicy"),
        ("gateway.envoyproxy.io/v1alpha1", "EnvoyExtensionPolicy"),
        ("gateway.envoyproxy.io/v1alpha1", "EnvoyPatchPolicy"),
        ("gateway.envoyproxy.io/v1alpha1", "EnvoyProxy"),
        ("gateway.envoyproxy.io/v1alpha1", "HTTPRouteFilter"),
        ("gateway.envoyproxy.io/v1alpha1", "SecurityPolicy"),
        ("keda.sh/v1alpha1", "ScaledObject"),
        ("monitoring.coreos.com/v1", "PrometheusRule"),
        ("monitoring.coreos.com/v1alpha1", "ScrapeConfig"),
    }
)


def register(name: str, manifest: Manifest, opts: "pulumi.ResourceOptions") -> "pulumi.CustomResource":
    """Register one plain object under the logical name `name`; a kind outside the tables is a `KeyError`."""
    key = (manifest["apiVersion"], manifest["kind"])
    if key in CUSTOM_KINDS:
        import pulumi_kubernetes as k8s

        return k8s.apiextensions.CustomResource(
            name,
            api_version=key[0],
            kind=key[1],
            metadata=manifest["metadata"],
            spec=manifest["spec"],
            opts=opts,
        )
    fields = {_snake(field): value for field, value in manifest.items() if field not in ("apiVersion", "kind")}
    resource: pulumi.CustomResource = classes()[key](name, opts=opts, **fields)
    return resource


def register_all(
    manifests: Sequence[Manifest], prefix: str, opts: "pulumi.ResourceOptions"
) -> "list[pulumi.CustomResource]":
    """Register objects under `prefix-kind`, or `prefix-kind-namespace` where a kind appears more than once."""
    kinds = [manifest["kind"] for manifest in manifests]
    result = []
    for manifest in manifests:
        role = _kebab(manifest["kind"])
        if kinds.count(manifest["kind"]) > 1:
            role += f"-{manifest['metadata']['namespace']}"
        result.append(register(f"{prefix}-{role}", manifest, opts))
    return result


def _kebab(kind: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind).lower()


def _snake(field: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", field).lower()
