"""NetworkPolicies are enforced on the one node: what they name goes through, everything else is dropped."""

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.cluster.stack import Stack

pytestmark = pytest.mark.cluster

FENCED, OPEN = "fenced", "open"
MODELS, GATEWAY = "modelway-models", "modelway-gateway"
PORT = 8080
SECONDS = 20.0
SERVE = f"import socketserver as s; s.TCPServer(('', {PORT}), s.BaseRequestHandler).serve_forever()"
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2)"
API_SERVER = ("10.96.0.1", 443)
DENY: dict[str, Any] = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
FRIENDS: dict[str, Any] = {
    "podSelector": {},
    "policyTypes": ["Ingress", "Egress"],
    "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}], "ports": [{"port": PORT}]}],
    "egress": [{"to": [{"podSelector": {"matchLabels": {"app": "server"}}}]}],
}


def pod(name: str, namespace: str, image: str) -> dict[str, Any]:
    """A pod that accepts connections, probed by kubelet."""
    container = {
        "name": "main",
        "image": image,
        "command": ["python", "-c", SERVE],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
    }
    spec = {"automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0, "containers": [container]}
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def apply(stack: Stack, *objects: dict[str, Any]) -> None:
    listing = {"apiVersion": "v1", "kind": "List", "items": objects}
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(listing))


def fence(stack: Stack, name: str, spec: dict[str, Any]) -> None:
    metadata = {"name": name, "namespace": FENCED}
    apply(stack, {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec})


def found(stack: Stack, namespace: str, selector: str) -> tuple[str, str]:
    """Name and address of one of the pods."""
    listing = json.loads(stack.kubectl("-n", namespace, "get", "pods", "-l", selector, "-o", "json"))
    item = listing["items"][0]
    return item["metadata"]["name"], item["status"]["podIP"]


def reaches(stack: Stack, namespace: str, source: str, address: str, port: int) -> bool:
    """Whether a connection from this pod is accepted; else it must have been dropped, which ends in a timeout."""
    command = ["exec", source, "--", "python", "-c", CONNECT, address, str(port)]
    said = stack.kubectl("-n", namespace, *command, check=False)
    assert not said or "TimeoutError: timed out" in said, said
    return not said


@pytest.fixture(scope="module")
def pods(stack: Stack) -> Iterator[Stack]:
    """The stack, with ready pods in a namespace to fence and in one that stays open."""
    image = stack.lock()["breast-cancer:v1"]
    where = {"server": FENCED, "friend": FENCED, "stranger": FENCED, "visitor": OPEN}
    try:
        apply(stack, *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": it}} for it in (FENCED, OPEN)))
        apply(stack, *(pod(name, namespace, image) for name, namespace in where.items()))
        for namespace in (FENCED, OPEN):
            stack.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=90s")
        yield stack
    finally:
        stack.kubectl("delete", "namespace", FENCED, OPEN, "--ignore-not-found")


def test_a_policy_lets_through_what_it_names_and_drops_the_rest(pods: Stack) -> None:
    _, server = found(pods, FENCED, "app=server")

    def connections() -> dict[str, bool]:
        sources = {"friend": FENCED, "stranger": FENCED, "visitor": OPEN}
        return {name: reaches(pods, namespace, name, server, PORT) for name, namespace in sources.items()}

    def become(**expected: bool) -> None:
        # A policy holds soon after it was written; nothing tells when.
        deadline = time.monotonic() + SECONDS
        while (found := connections()) != expected and time.monotonic() < deadline:
            pass
        assert found == expected

    become(friend=True, stranger=True, visitor=True)
    fence(pods, "deny", DENY)
    become(friend=False, stranger=False, visitor=False)
    fence(pods, "friends", FRIENDS)
    become(friend=True, stranger=False, visitor=False)


def test_kubelet_probes_a_pod_that_nobody_else_may_reach(pods: Stack) -> None:
    fence(pods, "deny", DENY)
    apply(pods, pod("late", FENCED, pods.lock()["breast-cancer:v1"]))
    pods.kubectl("-n", FENCED, "wait", "--for=condition=Ready", "pod/late", "--timeout=90s")

    _, late = found(pods, FENCED, "app=late")
    assert not reaches(pods, OPEN, "visitor", late, PORT)


def test_a_model_server_answers_through_the_gateway_and_to_nobody_else(pods: Stack) -> None:
    name, server = found(pods, MODELS, "app.kubernetes.io/version=v1")
    _, proxy = found(pods, GATEWAY, "app.kubernetes.io/component=proxy")
    row = pods.reference("v1")["rows"][0]

    assert httpx.post(f"{pods.gateway}/breast-cancer/v1/predict", json=row, trust_env=False).status_code == 200
    assert reaches(pods, OPEN, "visitor", proxy, 10080)
    assert {port: reaches(pods, OPEN, "visitor", server, port) for port in (8080, 9090)} == {8080: False, 9090: False}
    assert reaches(pods, OPEN, "visitor", *API_SERVER)
    assert not reaches(pods, MODELS, name, *API_SERVER)


def test_prometheus_reaches_everything_that_it_scrapes(pods: Stack) -> None:
    targets = pods.prometheus("up")

    assert {it["metric"]["job"] for it in targets} == {"prometheus", "model-servers", "gateway", "containers"}
    assert {it["value"][1] for it in targets} == {"1"}
