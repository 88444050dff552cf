"""What a pod may reach, as egress rules of NetworkPolicies."""

import ipaddress
import re
from typing import Any

ANYWHERE = "0.0.0.0/0"
DNS_EGRESS: dict[str, Any] = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}
EKS_POD_IDENTITY = ("169.254.170.23/32", 80)
"""https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html"""
GKE_METADATA_SERVER = (("169.254.169.252/32", 988), ("169.254.169.254/32", 80))
"""Without and with Dataplane V2: https://cloud.google.com/kubernetes-engine/docs/how-to/network-policy"""
_SERVICE = re.compile(r"[a-z0-9-]+\.(?P<namespace>[a-z0-9-]+)\.svc(\.cluster\.local)?")


def tcp(*ports: int) -> list[dict[str, Any]]:
    """These TCP ports."""
    return [{"protocol": "TCP", "port": port} for port in ports]


def address_egress(cidrs: tuple[str, ...], *ports: int) -> dict[str, Any]:
    """Egress to what is no pod, so that no selector names it; the clouds' metadata address stays closed."""
    blocks = [{"cidr": cidr, **({"except": ["169.254.0.0/16"]} if cidr == ANYWHERE else {})} for cidr in cidrs]
    return {"to": [{"ipBlock": block} for block in blocks], "ports": tcp(*ports)}


def api_server_egress(cidrs: tuple[str, ...]) -> dict[str, Any]:
    """Egress to the API server."""
    return address_egress(cidrs, 443, 6443)


def host_egress(host: str, port: int, cidrs: tuple[str, ...] = ()) -> dict[str, Any]:
    """Egress to a host: to `cidrs` where they are known, else as narrow as its name lets it be."""
    if cidrs:
        return address_egress(cidrs, port)
    if is_address(host):
        address = ipaddress.ip_address(host)
        return address_egress((f"{address}/{address.max_prefixlen}",), port)
    if inside := _SERVICE.fullmatch(host):
        # Of a Service only its name is known here: the policy sees the pods behind it, whose port may be another.
        namespace = {"matchLabels": {"kubernetes.io/metadata.name": inside["namespace"]}}
        return {"to": [{"namespaceSelector": namespace}], "ports": [{"protocol": "TCP"}]}
    return address_egress((ANYWHERE,), port)


def is_address(host: str) -> bool:
    """Whether `host` is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_service(host: str) -> bool:
    """Whether `host` is the name of a Service of the cluster with its namespace."""
    return _SERVICE.fullmatch(host) is not None
