"""What the objects beside the chart kube-prometheus-stack must say, stated without the code that writes them."""

from tests.unit.k8s_checks import Objects

API_SERVER = {"monitoring": "0.0.0.0/0", "monitoring-known-nodes": "192.0.2.10/32"}
DNS = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}


def taken(objects: Objects) -> None:
    """The operator takes what has this label, from the namespace that it is in."""
    for kind in ("ScrapeConfig", "PrometheusRule"):
        for manifest in objects.of(kind):
            assert manifest["metadata"]["labels"]["modelway.dev/monitoring"] == "true"
            assert manifest["metadata"]["namespace"] == "modelway-monitoring"


def reach(objects: Objects) -> None:
    """The operator reaches DNS and the API server; nobody reaches it."""
    kind, _, name = objects.name.partition("-")
    if kind != "operator":
        return
    policy = objects.named("NetworkPolicy", "prometheus-operator")
    assert policy["metadata"]["namespace"] == "modelway-monitoring"
    spec = policy["spec"]
    (dns, api_server) = spec["egress"]
    assert dns == DNS
    assert [block["ipBlock"]["cidr"] for block in api_server["to"]] == [API_SERVER[name]]
    assert api_server["to"][0]["ipBlock"].get("except", []) == ([] if name != "monitoring" else METADATA)
    assert {key: spec[key] for key in spec if key != "egress"} == {
        "podSelector": {"matchLabels": {"modelway.dev/part": "prometheus-operator"}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [],
    }
    assert api_server["ports"] == [{"protocol": "TCP", "port": port} for port in (443, 6443)]


METADATA = ["169.254.0.0/16"]
CHECKS = (taken, reach)
