"""What an operator sees: no-change runs, metrics, admission, secrets."""

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cluster.stack import PROJECT, Stack

pytestmark = pytest.mark.cluster

NAMESPACES = ("modelway-gateway", "modelway-models", "modelway-monitoring")


def test_a_second_up_changes_nothing(stack: Stack, figure: Callable[[str], None]) -> None:
    started = time.monotonic()
    output = stack.modelway("up", "node").stdout
    figure(f"second up: {time.monotonic() - started:.1f} s")
    assert re.search(r"\b0 created, 0 updated, 0 replaced, 0 deleted\b", output), output


def test_up_leaves_the_checkout_clean(stack: Stack) -> None:
    del stack
    status = subprocess.run(
        ["git", "status", "--porcelain", "--", "Pulumi.yaml", "stacks"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert status.stdout == ""


@pytest.mark.parametrize(
    "series",
    [
        "model_version:modelway_requests:rate1m",
        "model_version:modelway_request_errors:rate1m",
        "model_version:modelway_request_duration_seconds:p50",
        "model_version:modelway_request_duration_seconds:p99",
        "model_version:container_cpu_cores:rate1m",
        "model_version:container_memory_working_set_bytes:sum",
        'model_version_slo:modelway_slo_errors:ratio5m{slo="availability"}',
        'model_version_slo:modelway_slo_errors:ratio1h{slo="latency"}',
    ],
)
def test_prometheus_has_a_series_per_model_and_version(stack: Stack, series: str) -> None:
    rows = stack.reference("v1")["rows"]
    deadline = time.monotonic() + 120
    wanted = {("breast-cancer", "v1"), ("breast-cancer", "v2")}
    found: set[tuple[str, str]] = set()
    with httpx.Client(trust_env=False) as client:
        while not wanted <= found and time.monotonic() < deadline:
            for version in ("v1", "v2"):
                client.post(f"{stack.gateway}/breast-cancer/{version}/predict", json=rows[0])
            found = {
                (sample["metric"]["model"], sample["metric"]["version"])
                for sample in stack.prometheus(series)
                # Prometheus remembers models of the tests before for some minutes.
                if sample["metric"]["model"] == "breast-cancer" and sample["value"][1] != "NaN"
            }
    assert found == wanted


def test_status_tells_what_prometheus_and_the_cluster_know(stack: Stack) -> None:
    row = stack.reference("v1")["rows"][0]
    wanted = ("v1", "v2")
    found: dict[str, Any] = {}
    deadline = time.monotonic() + 120
    with httpx.Client(trust_env=False) as client:
        while not all((found.get(version) or {}).get("requests_per_second") for version in wanted):
            assert time.monotonic() < deadline, found
            for version in wanted:
                client.post(f"{stack.gateway}/breast-cancer/{version}/predict", json=row).raise_for_status()
            said = json.loads(stack.modelway("status", "node", "--json").stdout)
            found = {each["version"]: each for each in said["models"][0]["versions"]}
    assert (said["cluster"], said["monitoring"], said["unread"]) == ("answers", "answers", "")
    assert {version: (each["weight"], each["ready"], each["wanted"]) for version, each in found.items()} == {
        "v1": (90, 2, 2),
        "v2": (10, 2, 2),
    }
    for version, each in found.items():
        assert each["error_share"] == 0
        assert 0 < each["p50_seconds"] <= each["p99_seconds"] < 1
        assert set(each["budget_left"]) == {"availability", "latency"}
        assert each["url"] == f"{stack.gateway}/breast-cancer/{version}/predict"
    firing = {sample["metric"]["alertname"] for sample in stack.prometheus('ALERTS{alertstate="firing"}')}
    assert {alert["name"] for alert in said["alerts"]} == firing == set()


def test_no_rule_fails(stack: Stack) -> None:
    (failures,) = stack.prometheus("sum(prometheus_rule_evaluation_failures_total)")
    assert failures["value"][1] == "0"


def test_the_gateway_is_scraped(stack: Stack) -> None:
    assert stack.prometheus('up{job="gateway"} == 1') != []
    assert stack.prometheus("up == 0") == []


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_a_privileged_pod_is_refused_in_our_namespaces(stack: Stack, namespace: str) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "privileged", "namespace": namespace},
        "spec": {"containers": [{"name": "c", "image": "x", "securityContext": {"privileged": True}}]},
    }
    answer = stack.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod), check=False)
    assert 'violates PodSecurity "restricted:' in answer


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_every_pod_of_ours_would_be_admitted_again(stack: Stack, namespace: str) -> None:
    answer = stack.kubectl(
        "label", "--dry-run=server", "--overwrite", "namespace", namespace,
        "pod-security.kubernetes.io/enforce-version=latest", "pod-security.kubernetes.io/enforce=restricted",
        check=False,
    )  # fmt: skip
    assert "violate" not in answer, answer


def test_no_secret_of_the_node_is_in_plain_text_anywhere(stack: Stack) -> None:
    kubeconfig = (stack.state / "node/kubeconfig").read_text()
    keys = re.findall(r"client-key-data: (\S+)", kubeconfig)
    passphrase = (stack.state / "passphrase").read_text().strip()
    assert keys
    assert len(passphrase) >= 32
    planted = [*keys, passphrase]
    files = [
        *(stack.state / "backend").rglob("*"),
        *(stack.state / "stacks").rglob("*"),
        *(stack.state / "logs").rglob("*"),
    ]
    leaks = [
        str(file)
        for file in files
        if file.is_file() and any(secret in file.read_text(errors="replace") for secret in planted)
    ]
    arguments = [path.read_bytes().decode(errors="replace") for path in Path("/proc").glob("[0-9]*/cmdline")]
    leaks += [text for text in arguments if any(secret in text for secret in planted)]
    leaks += ["output of up"] if any(secret in stack.first_up for secret in planted) else []
    assert leaks == []
