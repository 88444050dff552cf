"""The rendered NetworkPolicies, judged by an evaluator that is not ours (cyclonus): every needed edge, and no other."""

import itertools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from modelway.gateway.objects import GatewaySpec, network_policies
from modelway.monitoring.config import ScrapeSpec
from modelway.monitoring.grafana import GrafanaSpec, grafana_manifests
from modelway.monitoring.objects import MonitoringSpec, monitoring_manifests
from modelway.namespace import default_deny_manifest
from modelway.scaling import objects as keda
from modelway.serving.objects import ServerSpec, server_manifests

from tools.progress import Progress
from tools.toolchain import ensure

MODELS, GATEWAY, MONITORING = "modelway-models", "modelway-gateway", "modelway-monitoring"
IMAGE = "registry.example/x@sha256:" + "a" * 64
CLUSTER = "192.0.2.10/32"
"""Where the API server and the kubelets are."""

PEERS: dict[str, dict[str, Any]] = {
    "client": {"IP": "203.0.113.9"},
    "metadata": {"IP": "169.254.169.254"},
    "api-server": {"IP": "192.0.2.10"},
}
"""Addresses outside the cluster, and below the pods."""


def pod(name: str, namespace: str, address: str, **labels: str) -> None:
    """Add a pod to the peers."""
    PEERS[name] = {
        "IP": address,
        "Internal": {
            "Namespace": namespace,
            "NamespaceLabels": {"kubernetes.io/metadata.name": namespace},
            "PodLabels": labels,
        },
    }


SERVER_LABELS = {
    "app.kubernetes.io/name": "iris",
    "app.kubernetes.io/component": "model-server",
    "app.kubernetes.io/version": "v1",
    "app.kubernetes.io/part-of": "modelway",
}
pod("server", MODELS, "10.244.0.10", **SERVER_LABELS)
pod("stranger in the models' namespace", MODELS, "10.244.0.11", app="x")
PROXY = {"app.kubernetes.io/component": "proxy", "app.kubernetes.io/name": "envoy"}
OWNER = "gateway.envoyproxy.io/owning-gateway-name"
pod("proxy", GATEWAY, "10.244.0.12", **PROXY, **{OWNER: "modelway"})
pod("inner proxy", GATEWAY, "10.244.0.18", **PROXY, **{OWNER: "modelway-internal"})
pod("controller", GATEWAY, "10.244.0.13", **{"control-plane": "envoy-gateway"})
pod("certgen", GATEWAY, "10.244.0.14", app="certgen")
pod(
    "prometheus",
    MONITORING,
    "10.244.0.15",
    **{
        "app.kubernetes.io/name": "prometheus",
        "app.kubernetes.io/component": "prometheus",
        "app.kubernetes.io/part-of": "modelway",
    },
)
KEDA = {"app.kubernetes.io/name": "keda", "app.kubernetes.io/part-of": "modelway"}
READER = {"modelway.dev/reads-prometheus": "true"}
pod("keda", keda.NAMESPACE, "10.244.0.20", **KEDA, **{"app.kubernetes.io/component": "keda-operator"}, **READER)
pod("figures", keda.NAMESPACE, "10.244.0.21", **KEDA, **{"app.kubernetes.io/component": "keda-metrics-apiserver"})
GRAFANA = {"app.kubernetes.io/name": "grafana", "app.kubernetes.io/component": "grafana"}
pod("grafana", MONITORING, "10.244.0.22", **GRAFANA, **READER, **{"app.kubernetes.io/part-of": "modelway"})
pod("stranger", "default", "10.244.0.16", app="x")
pod("dns", "kube-system", "10.244.0.17", **{"k8s-app": "kube-dns"})

PORTS = [
    (8080, "http", "TCP"),
    (9090, "admin", "TCP"),
    (10080, "http-80", "TCP"),
    (18000, "grpc", "TCP"),
    (9666, "grpc", "TCP"),
    (6443, "https", "TCP"),
    (19001, "metrics", "TCP"),
    (10250, "kubelet", "TCP"),
    (443, "https", "TCP"),
    (3000, "http", "TCP"),
    (53, "dns", "UDP"),
]

API_CLIENTS = ("controller", "certgen", "prometheus", "keda", "figures")
PROXIES = ("proxy", "inner proxy")
NEEDED = {
    *((proxy, "server", 8080) for proxy in PROXIES),
    ("prometheus", "server", 9090),
    *((proxy, "controller", 18000) for proxy in PROXIES),
    *(("prometheus", proxy, 19001) for proxy in PROXIES),
    ("prometheus", "controller", 19001),
    *((source, "dns", 53) for source in (*PROXIES, *API_CLIENTS)),
    *((source, "api-server", port) for source in API_CLIENTS for port in (443, 6443)),
    ("keda", "prometheus", 9090),
    ("grafana", "prometheus", 9090),
    ("grafana", "dns", 53),
    # From the namespace that is named.
    ("stranger", "grafana", 3000),
    ("figures", "keda", 9666),
    ("api-server", "figures", 6443),
    ("prometheus", "api-server", 10250),
    # Anyone may be a client of the gateway whose own egress allows it.
    *((source, "proxy", 10080) for source in ("client", "api-server", "metadata", "stranger", "dns")),
    # Only pods may be clients of the one inside.
    *((source, "inner proxy", 10080) for source in ("stranger", "dns")),
}
"""Every connection that the platform needs: source, destination, port."""

ISOLATED = [
    name for name, peer in PEERS.items() if peer.get("Internal", {}).get("Namespace", "").startswith("modelway")
]


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every policy that the components write."""
    gateway = GatewaySpec("modelway", GATEWAY, (MODELS,), MONITORING, api_server_cidrs=(CLUSTER,), internal=True)
    server = ServerSpec("iris", "v1", MODELS, IMAGE, GATEWAY, MONITORING)
    monitoring = MonitoringSpec(
        MONITORING,
        IMAGE,
        ScrapeSpec((MODELS,), GATEWAY),
        api_server_cidrs=(CLUSTER,),
        node_cidrs=(CLUSTER,),
        readers_namespaces=(keda.NAMESPACE, MONITORING),
    )
    scaling = keda.KedaSpec(IMAGE, IMAGE, (MODELS,), api_server_cidrs=(CLUSTER,))
    manifests = [
        *(default_deny_manifest(namespace) for namespace in (MODELS, GATEWAY, MONITORING, keda.NAMESPACE)),
        *network_policies(gateway),
        *keda.network_policies(scaling),
        *server_manifests(server),
        *monitoring_manifests(monitoring),
        *grafana_manifests(GrafanaSpec(MONITORING, IMAGE, "", "", "", clients_namespaces=("default",))),
    ]
    folder = tmp_path_factory.mktemp("policies")
    for number, manifest in enumerate(manifests):
        if manifest["kind"] == "NetworkPolicy":
            (folder / f"{number}.yaml").write_text(yaml.safe_dump(manifest))
    return folder


def test_exactly_the_needed_connections_are_allowed(policies: Path, tmp_path: Path) -> None:
    questions = [
        (source, destination, port)
        for source, destination in itertools.permutations(PEERS, 2)
        for port in PORTS
        if source in ISOLATED or destination in ISOLATED
    ]
    traffic = [
        {
            "Source": PEERS[source],
            "Destination": PEERS[destination],
            "Protocol": protocol,
            "ResolvedPort": number,
            "ResolvedPortName": name,
        }
        for source, destination, (number, name, protocol) in questions
    ]
    file = tmp_path / "traffic.json"
    file.write_text(json.dumps(traffic))
    cyclonus = ensure(["cyclonus"], Progress())["cyclonus"]
    output = subprocess.run(
        [cyclonus.path, "analyze", "--mode", "query-traffic", "--policy-path", policies, "--traffic-path", file],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    verdicts = re.findall(r"IS ALLOWED\?\s*\|\s*(TRUE|FALSE)", output)
    assert len(verdicts) == len(questions)
    allowed = {
        (source, destination, port[0])
        for (source, destination, port), verdict in zip(questions, verdicts, strict=True)
        if verdict == "TRUE"
    }
    assert allowed == NEEDED
