"""cert-manager: makes and renews the gateway's certificates."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from modelway._common import Manifest, labels, register, type_token
from modelway._egress import ANYWHERE, DNS_EGRESS, address_egress, api_server_egress
from modelway.gateway.tls import CertManagerImagesArgs
from modelway.namespace import RestrictedNamespace

CHART = "oci://quay.io/jetstack/charts/cert-manager"
CHART_VERSION = "v1.21.2"
NAMESPACE = "modelway-cert-manager"
WEBHOOK_PORT = 10250
_RESOURCES = {
    "controller": ("20m", "64Mi", "500m", "256Mi"),
    "webhook": ("10m", "32Mi", "250m", "128Mi"),
    "cainjector": ("10m", "64Mi", "250m", "256Mi"),
    "startupapicheck": ("10m", "32Mi", "250m", "128Mi"),
}


class CertManagerArgs(TypedDict):
    """Inputs of `CertManager`."""

    namespace: NotRequired[str]
    """Namespace to run in; created. Defaults to `modelway-cert-manager`."""
    acme: NotRequired[bool]
    """Whether it may reach ACME servers and the hosts that they prove, anywhere on ports 80 and 443, and answers their
    challenges through the Gateway API, whose CRDs have to be there. Defaults to false."""
    api_server_cidrs: NotRequired[list[str]]
    """Addresses of the API server's endpoints. Defaults to anywhere but the clouds' metadata address."""
    chart: NotRequired[str]
    """Helm chart: an OCI reference or a file. Defaults to the official chart at the pinned version."""
    images: NotRequired[CertManagerImagesArgs]
    """Images by digest. Default to the chart's own."""


@dataclass(frozen=True)
class CertManagerSpec:
    """Everything that decides cert-manager's objects."""

    namespace: str = NAMESPACE
    acme: bool = False
    api_server_cidrs: tuple[str, ...] = (ANYWHERE,)
    images: Mapping[str, str] | None = None


class CertManager(pulumi.ComponentResource):
    """cert-manager with its CRDs in a namespace of its own, where pods are restricted and traffic is denied by default.

    What depends on it is made once its webhook answers, and deleted before it.
    """

    namespace: pulumi.Output[str]
    """Namespace that it runs in, known once its webhook answers."""

    def __init__(self, name: str, args: CertManagerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("CertManager"), name, {}, opts)
        spec = cert_manager_spec(args)
        child = pulumi.ResourceOptions(parent=self)
        before: list[pulumi.Resource] = [
            register(f"{name}-{manifest['metadata']['name']}", manifest, child) for manifest in crd_manifests()
        ]
        namespace = RestrictedNamespace(f"{name}-namespace", {"name": spec.namespace}, child)
        inside = pulumi.ResourceOptions(parent=self, depends_on=[namespace])
        for manifest in network_policies(spec):
            before.append(register(f"{name}-{manifest['metadata']['name']}-network-policy", manifest, inside))
        release = k8s.helm.v3.Release(
            f"{name}-release",
            name="cert-manager",
            namespace=spec.namespace,
            chart=args.get("chart", CHART),
            version=CHART_VERSION,
            skip_crds=True,
            values=chart_values(spec),
            # Its CRDs outlive it, so that it lets go of what it holds before they take everything with them.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[namespace, *before]),
        )
        self.namespace = release.id.apply(lambda _: spec.namespace)
        self.register_outputs({"namespace": self.namespace})


def cert_manager_spec(args: CertManagerArgs) -> CertManagerSpec:
    """The inputs as a value."""
    return CertManagerSpec(
        namespace=args.get("namespace", NAMESPACE),
        acme=args.get("acme", False),
        api_server_cidrs=tuple(args.get("api_server_cidrs", [ANYWHERE])),
        images=args.get("images"),  # type: ignore[arg-type]
    )


@cache
def crd_manifests() -> tuple[Manifest, ...]:
    """cert-manager's CRDs without descriptions, as `make crds` writes them: one object a line."""
    text = resources.files("modelway.gateway").joinpath("cert_manager_crds.jsonl").read_text(encoding="utf-8")
    return tuple(json.loads(line) for line in text.splitlines())


def chart_values(spec: CertManagerSpec) -> dict[str, Any]:
    """Values of the chart: no CRDs, no rights for others, leases in its own namespace, requests and limits."""
    parts = {name: _part(spec, name) for name in _RESOURCES}
    values: dict[str, Any] = {
        "crds": {"enabled": False},
        "global": {
            "leaderElection": {"namespace": spec.namespace},
            # Who may view or edit anything else gets no say over certificates by that.
            "rbac": {"aggregateClusterRoles": False},
        },
        "prometheus": {"enabled": False},
        **parts.pop("controller"),
        **parts,
    }
    if spec.images and "acmesolver" in spec.images:
        values["acmesolver"] = {"image": _image(spec.images["acmesolver"])}
    if spec.acme:
        values["config"] = {
            "apiVersion": "controller.config.cert-manager.io/v1alpha1",
            "kind": "ControllerConfiguration",
            "gatewayAPI": {"enabled": True},
        }
    return values


def _part(spec: CertManagerSpec, name: str) -> dict[str, Any]:
    cpu_request, memory_request, cpu_limit, memory_limit = _RESOURCES[name]
    values: dict[str, Any] = {
        "resources": {
            "requests": {"cpu": cpu_request, "memory": memory_request},
            "limits": {"cpu": cpu_limit, "memory": memory_limit},
        }
    }
    if spec.images:
        values["image"] = _image(spec.images[name])
    return values


def _image(reference: str) -> dict[str, str]:
    repository, _, digest = reference.partition("@")
    return {"repository": repository, "digest": digest}


def network_policies(spec: CertManagerSpec) -> list[Manifest]:
    """What cert-manager's pods may reach, and who may reach them; everything else is denied."""
    egress = [DNS_EGRESS, api_server_egress(spec.api_server_cidrs)]
    # The API server is no pod: where its address is not known, the port is open, and guarded by TLS.
    cidrs = [cidr for cidr in spec.api_server_cidrs if ANYWHERE not in spec.api_server_cidrs]
    callers = {"from": [{"ipBlock": {"cidr": cidr}} for cidr in cidrs]} if cidrs else {}
    port = {"protocol": "TCP", "port": WEBHOOK_PORT}
    policies = [
        _policy(spec, "cert-manager", {}, [], egress),
        _policy(spec, "webhook", _component("webhook"), [{**callers, "ports": [port]}], []),
    ]
    if spec.acme:
        servers = [address_egress((ANYWHERE,), 80, 443)]
        policies.append(_policy(spec, "acme", _component("controller"), [], servers))
    return policies


def _component(name: str) -> dict[str, Any]:
    return {"matchLabels": {"app.kubernetes.io/component": name}}


def _policy(
    spec: CertManagerSpec,
    name: str,
    selector: Mapping[str, Any],
    ingress: list[dict[str, Any]],
    egress: list[dict[str, Any]],
) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": spec.namespace, "labels": labels("cert-manager", "network-policy")},
        "spec": {
            "podSelector": dict(selector),
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": egress,
        },
    }
