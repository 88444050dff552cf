"""The guarded entrance that all models share."""

from collections.abc import Sequence
from typing import NotRequired, TypedDict
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as k8s

from modelway._common import NODE_PORT, as_int, register, require_dns_label, type_token
from modelway._egress import ANYWHERE
from modelway.gateway.cert_manager import CertManager, CertManagerArgs
from modelway.gateway.load_balancer import LoadBalancerArgs, load_balancer_misfits, load_balancer_of
from modelway.gateway.objects import (
    CHART,
    CHART_VERSION,
    INTERNAL,
    GatewaySpec,
    chart_values,
    crd_manifests,
    gateway_objects,
    network_policies,
)
from modelway.gateway.policy import OWN_CLASS, Connections
from modelway.gateway.policy_checks import connection_misfits, foreign_misfits
from modelway.gateway.tls import HTTPS_PORT, TlsArgs, tls_of
from modelway.gateway.tls_checks import tls_misfits
from modelway.namespace import RestrictedNamespace
from modelway.serving.model_server import refuse
from modelway.tracing.arguments import GatewayTracesArgs, gateway_traces_misfits, gateway_traces_of


class ConnectionsArgs(TypedDict):
    """What one proxy takes from clients before it knows who they are."""

    maximum: NotRequired[int]
    """Open connections, 1 to 50000; more are closed at once. Defaults to 1000."""
    idle_seconds: NotRequired[int]
    """Longest that a connection without a request stays open, in seconds, 1 to 3600. Defaults to 300."""
    header_seconds: NotRequired[int]
    """Longest that the headers of a request may take, in seconds, 1 to 3600; then 408. Defaults to 10."""
    request_seconds: NotRequired[int]
    """Longest that a whole request, with its body, may take to arrive, in seconds, 1 to 3600; then 408. Defaults to
    60. Refused below `header_seconds`."""


class GatewayArgs(TypedDict):
    """Inputs of `Gateway`."""

    address: pulumi.Input[str]
    """Host and port under which clients reach the gateway: `127.0.0.1:8080`. With `tls` the port of plain HTTP; that of
    HTTPS is `tls.port`."""
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
    class_name: NotRequired[str]
    """GatewayClass. Defaults to `modelway`, that of the Envoy Gateway which is installed. Any other has to be there
    with its controller: then Envoy Gateway is not installed, and what only it has is refused: `replicas`, `node_port`,
    `load_balancer`, `chart`, both images, `connections`, `trusted_proxies`, `client_addresses`, `jwks_ports`,
    `internal` and `traces`."""
    connections: NotRequired[ConnectionsArgs]
    """Bounds of clients' connections."""
    trusted_proxies: NotRequired[int]
    """How many proxies before the gateway append to `X-Forwarded-For`, 0 to 10: a client's address is the entry that
    the first of them made. Defaults to 0: the header is not believed."""
    client_addresses: NotRequired[bool]
    """Whether proxies see clients' own addresses, which limits per address and source ranges need where there is no
    trusted proxy. Nodes without a proxy then refuse connections. Defaults to false."""
    jwks_ports: NotRequired[list[int]]
    """Ports, anywhere, that the proxies may reach to read the keys of tokens' issuers. Defaults to none."""
    internal: NotRequired[bool]
    """Whether there is a second Gateway, `modelway-internal`, for pods of the cluster only. Defaults to false."""
    tls: NotRequired[TlsArgs]
    """HTTPS for clients; plain HTTP then only redirects to it. Defaults to plain HTTP alone."""
    traces: NotRequired[GatewayTracesArgs]
    """Where spans of the proxies go. Defaults to nowhere."""
    load_balancer: NotRequired[LoadBalancerArgs]
    """A load balancer of the cloud instead of `node_port`; proxies then see clients' own addresses. Defaults to
    none."""


class Gateway(pulumi.ComponentResource):
    """Envoy Gateway with one Gateway named `modelway`, reached through a fixed node port."""

    address: pulumi.Output[str]
    """Host and port of the gateway, known once it is programmed."""
    url: pulumi.Output[str]
    """URL of the gateway, known once it is programmed."""
    name: pulumi.Output[str]
    """Name of the Gateway object, known once it is programmed; routes that take it wait for the gateway."""
    tls_secret: pulumi.Output[str]
    """Name of the Secret with the certificate, whose `ca.crt`, where it has one, is what clients trust; empty without
    `tls`."""
    internal_url: pulumi.Output[str]
    """URL for pods of the cluster; empty without `internal`."""
    internal_name: pulumi.Output[str]
    """Name of the Gateway for pods of the cluster, known once it is programmed; empty without `internal`."""

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("Gateway"), name, {}, opts)
        spec = gateway_spec(name, args)
        before = [*(self._crds(name, spec) if args.get("install_crds", True) else []), *self._network(name, spec)]
        before += self._cert_manager(name, args, before)
        created: list[pulumi.Resource] = before
        if spec.class_name == OWN_CLASS:
            created = [self._controller(name, args, spec, before)]
        for role, manifest in gateway_objects(spec).items():
            options = pulumi.ResourceOptions(parent=self, depends_on=list(created))
            created.append(register(f"{name}-{role}", manifest, options))
        # Its policies are there before any route.
        known = pulumi.Output.all(*(each.urn for each in created))
        self.address = pulumi.Output.all(args["address"], known).apply(lambda values: authority(values[0], spec))
        self.url = pulumi.Output.concat("https://" if spec.tls else "http://", self.address)
        self.tls_secret = known.apply(lambda _: spec.tls.secret_name(spec.name) if spec.tls else "")
        self.name = known.apply(lambda _: spec.name)
        self.internal_url = known.apply(lambda _: internal_url(spec))
        self.internal_name = known.apply(lambda _: INTERNAL if spec.internal else "")
        self.register_outputs(
            {
                "address": self.address,
                "url": self.url,
                "name": self.name,
                "tls_secret": self.tls_secret,
                "internal_url": self.internal_url,
                "internal_name": self.internal_name,
            }
        )

    def _controller(
        self, name: str, args: GatewayArgs, spec: GatewaySpec, before: Sequence[pulumi.Resource]
    ) -> pulumi.Resource:
        return k8s.helm.v3.Release(
            f"{name}-envoy-gateway",
            name="envoy-gateway",
            namespace=spec.namespace,
            chart=args.get("chart", CHART),
            version=CHART_VERSION,
            skip_crds=True,
            values=chart_values(spec),
            # CRDs outlive the controller: it has to remove its finalizers before they go.
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(before)),
        )

    def _cert_manager(
        self, name: str, args: GatewayArgs, before: Sequence[pulumi.Resource]
    ) -> Sequence[pulumi.Resource]:
        tls = args.get("tls")
        if tls is None or tls.get("issuer") == "secret" or not tls.get("install_cert_manager", True):
            return []
        inputs: CertManagerArgs = {"acme": tls.get("issuer") == "acme"}
        if "api_server_cidrs" in args:
            inputs["api_server_cidrs"] = args["api_server_cidrs"]
        if "cert_manager_chart" in tls:
            inputs["chart"] = tls["cert_manager_chart"]
        if "cert_manager_images" in tls:
            inputs["images"] = tls["cert_manager_images"]
        # With ACME it looks for the Gateway API when it starts.
        after = pulumi.ResourceOptions(parent=self, depends_on=list(before))
        return [CertManager(f"{name}-cert-manager", inputs, after)]

    def _crds(self, name: str, spec: GatewaySpec) -> Sequence[pulumi.Resource]:
        return [
            register(
                f"{name}-{manifest['metadata']['name']}{'-binding' * manifest['kind'].endswith('Binding')}",
                manifest,
                pulumi.ResourceOptions(parent=self),
            )
            for manifest in crd_manifests()
            if spec.class_name == OWN_CLASS or not manifest["metadata"]["name"].endswith(".gateway.envoyproxy.io")
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
    connections = Connections(**{key: int(value) for key, value in args.get("connections", {}).items()})  # type: ignore[call-overload]
    refuse(where, [*foreign_misfits(args), *connection_misfits(connections, as_int(args.get("trusted_proxies"), 0))])
    if (tls := args.get("tls")) is not None:
        foreign = args.get("class_name", OWN_CLASS)
        refuse(where, tls_misfits(tls, None if foreign == OWN_CLASS else foreign))
    if (balancer := args.get("load_balancer")) is not None:
        refuse(where, load_balancer_misfits(balancer))
    if (traces := args.get("traces")) is not None:
        refuse(f"{where}.traces", list(gateway_traces_misfits(traces)))
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
        class_name=args.get("class_name", OWN_CLASS),
        connections=connections,
        trusted_proxies=as_int(args.get("trusted_proxies"), 0),
        client_addresses=args.get("client_addresses", False),
        jwks_ports=tuple(int(port) for port in args.get("jwks_ports", ())),
        internal=args.get("internal", False),
        tls=None if tls is None else tls_of(tls),
        load_balancer=None if balancer is None else load_balancer_of(balancer),
        traces=gateway_traces_of(traces),
    )


def authority(address: str, spec: GatewaySpec) -> str:
    """Host and port of the gateway's URL; `address` is that of plain HTTP."""
    if spec.tls is None:
        return address
    parts = urlsplit(f"//{address}")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or address
    return host if spec.tls.port == HTTPS_PORT else f"{host}:{spec.tls.port}"


def internal_url(spec: GatewaySpec) -> str:
    """URL of the Gateway inside the cluster; empty where there is none."""
    return f"http://{INTERNAL}.{spec.namespace}.svc.cluster.local" if spec.internal else ""
