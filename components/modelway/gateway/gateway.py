"""The guarded entrance that all models share."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict

import pulumi
import pulumi_kubernetes as k8s

from modelway._common import NODE_PORT, as_int, register, require_dns_label, type_token
from modelway.gateway.objects import (
    ANYWHERE,
    CHART,
    CHART_VERSION,
    GatewaySpec,
    chart_values,
    crd_manifests,
    gateway_manifests,
    network_policies,
)
from modelway.namespace import RestrictedNamespace


class GatewayArgs(TypedDict):
    """Inputs of `Gateway`."""

    address: pulumi.Input[str]
    """Host and port under which clients reach the gateway: `127.0.0.1:8080`."""
    models_namespaces: list[str]
    """Namespaces whose model servers the gateway may reach."""
    namespace: NotRequired[str]
    """Namespace of the controller and the proxies; created. Defaults to `modelway-gateway`."""
    monitoring_namespace: NotRequired[str]
    """Namespace of Prometheus, which may read the metrics ports. Defaults to `modelway-monitoring`."""
    node_port: NotRequired[int]
    """Port on every node that reaches the gateway, 30000 to 32767. Defaults to 30080."""
    replicas: NotRequired[int]
    """Number of proxies. Defaults to 1."""
    install_crds: NotRequired[bool]
    """Whether to install the CRDs of the Gateway API (standard channel) and of Envoy Gateway. Defaults to true;
    false where the cluster manages them."""
    api_server_cidrs: NotRequired[list[str]]
    """Addresses of the API server's endpoints, which the controller may reach. Defaults to anywhere but the clouds'
    metadata address."""
    chart: NotRequired[str]
    """Envoy Gateway's Helm chart: an OCI reference or a file. Defaults to the official chart at the pinned version."""
    gateway_image: NotRequired[str]
    """Image of the controller. Defaults to the chart's own."""
    proxy_image: NotRequired[str]
    """Image of the proxies. Defaults to the controller's own, pinned by digest."""


class Gateway(pulumi.ComponentResource):
    """Envoy Gateway with one Gateway named `modelway`, reached through a fixed node port."""

    address: pulumi.Output[str]
    """Host and port of the gateway, known once it is programmed."""
    url: pulumi.Output[str]
    """URL of the gateway, known once it is programmed."""
    name: pulumi.Output[str]
    """Name of the Gateway object, known once it is programmed; routes that take it wait for the gateway."""

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("Gateway"), name, {}, opts)
        spec = gateway_spec(name, args)
        crds = self._crds(name) if args.get("install_crds", True) else []
        before = self._network(name, spec)
        release = k8s.helm.v3.Release(
            f"{name}-envoy-gateway",
            name="envoy-gateway",
            namespace=spec.namespace,
            chart=args.get("chart", CHART),
            version=CHART_VERSION,
            skip_crds=True,
            values=chart_values(spec),
            # CRDs outlive the controller: it has to remove its finalizers before they go.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*crds, *before]),
        )
        created: list[pulumi.Resource] = [release]
        for role, manifest in zip(
            ("proxy", "class", "gateway", "traffic-policy"), gateway_manifests(spec), strict=True
        ):
            options = pulumi.ResourceOptions(parent=self, depends_on=list(created))
            created.append(register(f"{name}-{role}", manifest, options))
        self.address = pulumi.Output.all(args["address"], created[3].urn).apply(lambda values: str(values[0]))
        self.url = pulumi.Output.concat("http://", self.address)
        self.name = created[3].urn.apply(lambda _: spec.name)
        self.register_outputs({"address": self.address, "url": self.url, "name": self.name})

    def _crds(self, name: str) -> Sequence[pulumi.Resource]:
        return [
            register(
                f"{name}-{manifest['metadata']['name']}{'-binding' * manifest['kind'].endswith('Binding')}",
                manifest,
                pulumi.ResourceOptions(parent=self),
            )
            for manifest in crd_manifests()
        ]

    def _network(self, name: str, spec: GatewaySpec) -> Sequence[pulumi.Resource]:
        namespace = RestrictedNamespace(
            f"{name}-namespace", {"name": spec.namespace}, pulumi.ResourceOptions(parent=self)
        )
        inside = pulumi.ResourceOptions(parent=self, depends_on=[namespace])
        return [
            register(f"{name}-{manifest['metadata']['name']}-network-policy", manifest, inside)
            for manifest in network_policies(spec)
        ]


def gateway_spec(name: str, args: GatewayArgs) -> GatewaySpec:
    """Validate the inputs; raises `ValueError` with one sentence."""
    where = f'Gateway("{name}")'
    port = as_int(args.get("node_port"), NODE_PORT)
    if not 30000 <= port <= 32767:
        raise ValueError(f"{where}.node_port: out of range: got {port}, allowed 30000 to 32767; change it.")
    replicas = as_int(args.get("replicas"), 1)
    if replicas < 1:
        raise ValueError(f"{where}.replicas: out of range: got {replicas}, allowed 1 or more; change it.")
    namespaces = args["models_namespaces"]
    for namespace in namespaces:
        require_dns_label(f"{where}.models_namespaces", namespace)
    return GatewaySpec(
        name="modelway",
        namespace=args.get("namespace", "modelway-gateway"),
        models_namespaces=tuple(namespaces),
        monitoring_namespace=args.get("monitoring_namespace", "modelway-monitoring"),
        node_port=port,
        replicas=replicas,
        gateway_image=args.get("gateway_image"),
        proxy_image=args.get("proxy_image"),
        api_server_cidrs=tuple(args.get("api_server_cidrs", [ANYWHERE])),
    )
