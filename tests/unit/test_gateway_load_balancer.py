"""The gateway behind a cloud's load balancer: exactly what the cloud is asked for, and what is refused."""

import re
from typing import Any

import pytest
from modelway.gateway.gateway import gateway_spec
from modelway.gateway.objects import gateway_objects

AWS = "service.beta.kubernetes.io/aws-load-balancer-"
KEPT = (
    "deregistration_delay.timeout_seconds=30,deregistration_delay.connection_termination.enabled=true,"
    "preserve_client_ip.enabled=true"
)


def service(**balancer: Any) -> dict[str, Any]:
    args = {"address": "models.example.com", "models_namespaces": ["m"], "load_balancer": balancer}
    objects = gateway_objects(gateway_spec("gateway", args))  # type: ignore[arg-type]
    found: dict[str, Any] = objects["proxy"]["spec"]["provider"]["kubernetes"]["envoyService"]
    return found


@pytest.mark.parametrize(
    ("kind", "name"),
    [("aws-load-balancer-controller", "service.k8s.aws/nlb"), ("eks-auto-mode", "eks.amazonaws.com/nlb")],
)
def test_an_nlb_forwards_to_pods_keeps_client_addresses_and_drains(kind: str, name: str) -> None:
    assert service(kind=kind, source_ranges=["203.0.113.0/24"], record="models.example.com") == {
        "type": "LoadBalancer",
        "loadBalancerClass": name,
        "externalTrafficPolicy": "Local",
        "allocateLoadBalancerNodePorts": False,
        "loadBalancerSourceRanges": ["203.0.113.0/24"],
        "annotations": {
            f"{AWS}scheme": "internet-facing",
            f"{AWS}nlb-target-type": "ip",
            f"{AWS}target-group-attributes": KEPT,
            "external-dns.alpha.kubernetes.io/hostname": "models.example.com",
        },
    }
    assert service(kind=kind, internal=True)["annotations"] == {
        f"{AWS}scheme": "internal",
        f"{AWS}nlb-target-type": "ip",
        f"{AWS}target-group-attributes": KEPT,
    }


@pytest.mark.parametrize("internal", [False, True])
def test_a_load_balancer_of_gke_keeps_client_addresses(internal: bool) -> None:
    assert service(kind="gke", internal=internal, source_ranges=["10.0.0.0/8"]) == {
        "type": "LoadBalancer",
        "loadBalancerClass": f"networking.gke.io/l4-regional-{'internal' if internal else 'external'}",
        "externalTrafficPolicy": "Local",
        "loadBalancerSourceRanges": ["10.0.0.0/8"],
    }


@pytest.mark.parametrize(
    ("balancer", "sentence"),
    [
        (
            {"kind": "nlb"},
            "Gateway(\"gateway\").load_balancer.kind: unknown kind: got 'nlb', allowed aws-load-balancer-controller, "
            "eks-auto-mode, gke; correct it.",
        ),
        (
            {"kind": "gke", "source_ranges": ["203.0.113.1/24"]},
            "Gateway(\"gateway\").load_balancer.source_ranges: no CIDR: got '203.0.113.1/24', allowed a network such as "
            "203.0.113.0/24; correct it.",
        ),
    ],
)
def test_unknown_kinds_and_wrong_ranges_are_refused(balancer: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(sentence) + "$"):
        service(**balancer)
