"""The Service through which clients reach the proxies: a port of every node, or a load balancer of a cloud."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, NotRequired, TypedDict

from modelway.serving.misfit import Misfit

AWS_CLASSES = {"aws-load-balancer-controller": "service.k8s.aws/nlb", "eks-auto-mode": "eks.amazonaws.com/nlb"}
"""What makes a Network Load Balancer, and the class by which it knows its Services
(https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/service/annotations/ and
https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-nlb.html, read on 2026-11-23)."""
GKE_CLASS = "networking.gke.io/l4-regional-"
"""With `external` or `internal`: a passthrough load balancer with a backend service
(https://docs.cloud.google.com/kubernetes-engine/docs/concepts/service-load-balancer, read on 2026-11-23; from GKE
1.33.1 on)."""
KINDS = (*AWS_CLASSES, "gke")
_AWS = "service.beta.kubernetes.io/aws-load-balancer-"


class LoadBalancerArgs(TypedDict):
    """A load balancer of the cloud before the gateway."""

    kind: str
    """What makes it, as a cluster's `capabilities.load_balancer` says: `aws-load-balancer-controller`, `eks-auto-mode`
    or `gke`."""
    internal: NotRequired[bool]
    """Whether it has a private address only. Defaults to false: the internet reaches it."""
    source_ranges: NotRequired[list[str]]
    """Networks, as CIDR, that may connect. Defaults to any."""
    record: NotRequired[str]
    """DNS name that external-dns, where the cluster has it, points at the load balancer. Defaults to none."""


@dataclass(frozen=True)
class LoadBalancer:
    """As `LoadBalancerArgs` has it."""

    kind: str
    internal: bool = False
    source_ranges: tuple[str, ...] = ()
    record: str = ""


def load_balancer_of(args: LoadBalancerArgs) -> LoadBalancer:
    """The load balancer that the arguments describe."""
    return LoadBalancer(
        args["kind"], args.get("internal", False), tuple(args.get("source_ranges", ())), args.get("record", "")
    )


def load_balancer_misfits(args: Mapping[str, Any]) -> list[Misfit]:
    """What no cloud would take."""
    found = []
    if args["kind"] not in KINDS:
        allowed = ", ".join(KINDS)
        found.append(Misfit("load_balancer.kind", "unknown kind", repr(args["kind"]), allowed, "correct it"))
    for text in args.get("source_ranges", ()):
        try:
            ip_network(text)
        except ValueError:
            allowed = "a network such as 203.0.113.0/24"
            found.append(Misfit("load_balancer.source_ranges", "no CIDR", repr(text), allowed, "correct it"))
    return found


def node_port_service(ports: Mapping[int, int], client_addresses: bool) -> dict[str, Any]:
    """Envoy Gateway's settings of a Service with these node ports, by port."""
    listed = [{"port": port, "nodePort": node_port} for port, node_port in ports.items()]
    return {
        "type": "NodePort",
        "externalTrafficPolicy": "Local" if client_addresses else "Cluster",
        # EnvoyService has no field for the node port (Envoy Gateway 1.9.1), only a patch of the Service.
        "patch": {"type": "StrategicMerge", "value": {"spec": {"ports": listed}}},
    }


def load_balancer_service(balancer: LoadBalancer, drain_seconds: int) -> dict[str, Any]:
    """Envoy Gateway's settings of a Service behind a load balancer, which keeps clients' addresses.

    `drain_seconds`: how long open connections of a proxy that ends are still forwarded.
    """
    aws = balancer.kind in AWS_CLASSES
    annotations = _aws_annotations(balancer, drain_seconds) if aws else {}
    if balancer.record:
        annotations["external-dns.alpha.kubernetes.io/hostname"] = balancer.record
    service: dict[str, Any] = {
        "type": "LoadBalancer",
        "loadBalancerClass": AWS_CLASSES.get(
            balancer.kind, GKE_CLASS + ("internal" if balancer.internal else "external")
        ),
        "externalTrafficPolicy": "Local",
    }
    if aws:
        # Its targets are the pods themselves.
        service["allocateLoadBalancerNodePorts"] = False
    if annotations:
        service["annotations"] = annotations
    if balancer.source_ranges:
        service["loadBalancerSourceRanges"] = list(balancer.source_ranges)
    return service


def _aws_annotations(balancer: LoadBalancer, drain_seconds: int) -> dict[str, str]:
    attributes = {
        "deregistration_delay.timeout_seconds": drain_seconds,
        "deregistration_delay.connection_termination.enabled": "true",
        "preserve_client_ip.enabled": "true",
    }
    return {
        f"{_AWS}scheme": "internal" if balancer.internal else "internet-facing",
        f"{_AWS}nlb-target-type": "ip",
        f"{_AWS}target-group-attributes": ",".join(f"{name}={value}" for name, value in attributes.items()),
    }
