"""A split on the real gateway: many users' requests, weights moved by hand, and one proxy or pod at a time."""

import asyncio
import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
from modelway.serving.routes import lent

from tests.cluster.stack import Stack

MODELS, GATEWAY = "modelway-models", "modelway-gateway"
PROXIES = "gateway.envoyproxy.io/owning-gateway-name=modelway"
CONNECTIONS = 16
IN_A_ROW, SETTLE_SECONDS = 100, 60.0
JUDGE = ("apply", "--server-side", "--force-conflicts", "--field-manager=modelway-rollout-judge", "-f", "-")
"""Who moves weights writes the whole list of rules, since nobody can own a part of it."""


def versions_of(url: str, row: Any, keys: Sequence[Mapping[str, str]]) -> list[str]:
    """The version that answers each request, with one of `keys` as its headers; a request without 200 is an error."""
    return asyncio.run(_versions_of(url, row, keys))


async def _versions_of(url: str, row: Any, keys: Sequence[Mapping[str, str]]) -> list[str]:
    met = [""] * len(keys)
    left = iter(range(len(keys)))
    limits = httpx.Limits(max_connections=CONNECTIONS)
    async with httpx.AsyncClient(trust_env=False, timeout=30, limits=limits) as client:

        async def ask() -> None:
            for index in left:
                answer = await client.post(url, json=row, headers=dict(keys[index]))
                assert (answer.status_code, "set-cookie" in answer.headers) == (200, False), answer.text
                met[index] = answer.headers["x-modelway-version"]

        await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
    return met


def weigh(stack: Stack, model: str, **weights: int) -> None:
    """Move the weights of the split, `v1=50, v2=50` for all versions in their order, with one apply."""
    route = json.loads(stack.kubectl("get", "httproute", f"{model}-split", "-n", MODELS, "-o", "json"))
    rules = route["spec"]["rules"]
    for rule in rules:
        for backend, (version, weight) in zip(rule["backendRefs"], weights.items(), strict=True):
            backend.update(name=f"{model}-{version}", weight=weight)
    wanted = {
        "apiVersion": route["apiVersion"],
        "kind": route["kind"],
        "metadata": {"name": f"{model}-split", "namespace": MODELS},
        "spec": {"rules": rules},
    }
    stack.kubectl(*JUDGE, stdin=json.dumps(lent(wanted)))


def places(stack: Stack, model: str) -> list[dict[str, Any]]:
    """The backends of the split: one place for each version, lent to another where it has no share."""
    route = json.loads(stack.kubectl("get", "httproute", f"{model}-split", "-n", MODELS, "-o", "json"))
    backends: list[dict[str, Any]] = route["spec"]["rules"][0]["backendRefs"]
    return backends


def shares(stack: Stack, model: str) -> dict[str, int]:
    """Live shares of the split, by version; one without a share is left out."""
    found: Counter[str] = Counter()
    for backend in places(stack, model):
        found[backend["name"].removeprefix(f"{model}-")] += backend["weight"]
    return {version: share for version, share in found.items() if share}


def settled(url: str, row: Any, version: str) -> float:
    """Ask until a hundred answers in a row are of this version; how many seconds that took."""
    begin, same = time.monotonic(), 0
    with httpx.Client(trust_env=False) as client:
        while same < IN_A_ROW:
            assert time.monotonic() < begin + SETTLE_SECONDS, f"{version} does not answer alone"
            same = same + 1 if client.post(url, json=row).headers["x-modelway-version"] == version else 0
    return time.monotonic() - begin


def pods(stack: Stack, namespace: str, selector: str) -> list[str]:
    """Names of the pods that are not on their way out."""
    found = json.loads(stack.kubectl("get", "pods", "-n", namespace, "-l", selector, "-o", "json"))["items"]
    return [pod["metadata"]["name"] for pod in found if "deletionTimestamp" not in pod["metadata"]]


@contextmanager
def forwarded(stack: Stack, namespace: str, pod: str, port: int) -> Iterator[str]:
    """URL that reaches one pod's port, whatever balances before it."""
    config = str(stack.state / "node/kubeconfig")
    command = ["kubectl", "--kubeconfig", config, "port-forward", "-n", namespace, f"pod/{pod}", f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            found = re.search(r"127\.0\.0\.1:\d+", process.stdout.readline())
            assert found
            yield f"http://{found[0]}"
        finally:
            process.terminate()


def assigned(stack: Stack, model: str, version: str) -> dict[str, dict[str, float]]:
    """Requests that each pod of a version answered with 200, by pod and by how the gateway came to choose it."""
    selector = f"app.kubernetes.io/name={model},app.kubernetes.io/version={version}"
    found = {}
    for pod in pods(stack, MODELS, selector):
        with forwarded(stack, MODELS, pod, 9090) as url:
            text = httpx.get(f"{url}/metrics", trust_env=False).text
        samples = re.findall(
            r'^modelway_assigned_requests_total\{assignment="(\w+)",code="200",.*\} (\S+)$', text, re.M
        )
        found[pod] = {name: float(value) for name, value in samples}
    return found
