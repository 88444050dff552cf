"""The running cluster's own word on our pods, and the judges' on what Envoy Gateway made of our settings."""

import json
from typing import Any

import pytest

from tests.cluster.stack import Stack
from tests.judges import kube_score, pod_security
from tests.unit.k8s_objects import sets

pytestmark = pytest.mark.cluster

NAMESPACES = ("modelway-gateway", "modelway-models", "modelway-monitoring")
KINDS = "deployments,jobs,services,networkpolicies,poddisruptionbudgets,horizontalpodautoscalers"
EVERYWHERE = {"container-image-pull-policy", "container-ephemeral-storage-request-and-limit"}
"""Findings of kube-score with a reason in `tests/judges/test_kube_score.py`."""
EXCEPTIONS = {
    ("NetworkPolicy/certgen", "networkpolicy-targets-pod"): "its job ended and is gone",
    ("Deployment/envoy", "pod-probes-identical"): "of the container that waits for the drain; Envoy Gateway's own",
}


@pytest.fixture(scope="module")
def live(stack: Stack) -> list[dict[str, Any]]:
    """What runs in our namespaces, whoever made it."""
    # The chart's job stays for half a minute after its end.
    job = "job/envoy-gateway-gateway-helm-certgen"
    stack.kubectl("wait", "--for=delete", job, "--namespace=modelway-gateway", "--timeout=120s")
    return [
        found
        for namespace in NAMESPACES
        for found in json.loads(stack.kubectl("get", f"{KINDS},pods", "--namespace", namespace, "--output", "json"))[
            "items"
        ]
    ]


def test_every_pod_that_we_can_write_is_admitted_to_the_restricted_namespace(stack: Stack) -> None:
    templates = [
        pod
        for manifests in sets().values()
        for name, pod in pod_security.templates(manifests)
        # It reads the node's log files, in a namespace of its own.
        if name != "DaemonSet/log-collector"
    ]
    pods = [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**pod["metadata"], "name": f"judged-{number}", "namespace": "modelway-models"},
            # Accounts of models that are not deployed are not there.
            "spec": {**pod["spec"], "serviceAccountName": "default"},
        }
        for number, pod in enumerate(templates)
    ]
    text = "\n".join(json.dumps(pod) for pod in pods)
    answer = stack.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=text)
    assert answer.count("(server dry run)") == len(pods) > 20


def test_every_running_pod_is_restricted(live: list[dict[str, Any]]) -> None:
    found = list(pod_security.templates(live))
    assert {"envoy-gateway", "prometheus", "breast-cancer-v1"} <= {name.partition("/")[2] for name, _ in found}
    verdicts = pod_security.judge([pod for _, pod in found])
    assert {
        name: verdict.reasons for (name, _), verdict in zip(found, verdicts, strict=True) if not verdict.allowed
    } == {}


def test_nothing_that_runs_is_critical_but_what_has_its_reason(live: list[dict[str, Any]]) -> None:
    grades = kube_score.judge([found for found in live if found["kind"] != "Pod"])
    proxy = "Deployment/envoy-modelway-gateway-"
    found = {
        ("Deployment/envoy" if name.startswith(proxy) else name, check)
        for (name, check), grade in grades.items()
        if grade <= kube_score.CRITICAL and check not in EVERYWHERE
    }
    assert found == set(EXCEPTIONS)
