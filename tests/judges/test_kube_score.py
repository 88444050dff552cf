"""kube-score judges every Kubernetes object that we write: another judge that knows nothing of them."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.judges import charts, kube_score
from tests.unit.k8s_objects import sets

Manifest = dict[str, Any]

EXCEPTIONS = {
    ("*", "container-image-pull-policy"): (
        "wants `Always`; images are named by digest, so that a pull could bring nothing else, and a pod that starts "
        "on a node that has its image does not depend on the registry"
    ),
    ("*", "container-ephemeral-storage-request-and-limit"): (
        "root file systems cannot be written and every emptyDir has a size limit; what is left are logs, which the "
        "kubelet rotates"
    ),
    ("NetworkPolicy/proxy", "networkpolicy-targets-pod"): "its pods are made by Envoy Gateway, once it runs",
    ("NetworkPolicy/prometheus-operator", "networkpolicy-targets-pod"): "its pods are of the chart",
    ("NetworkPolicy/internal-proxy", "networkpolicy-targets-pod"): "its pods are made by Envoy Gateway, once it runs",
    **{
        (name, "container-security-context-user-group-id"): "cert-manager's images name their user, and it is not root"
        for name in (
            "Deployment/cert-manager",
            "Deployment/cert-manager-cainjector",
            "Deployment/cert-manager-webhook",
            "Job/cert-manager-startupapicheck",
        )
    },
    ("Deployment/iris-vllm", "pod-probes-identical"): "vLLM has one path for health and readiness",
    ("Deployment/grafana", "pod-probes-identical"): "Grafana has one path for health and readiness",
    ("DaemonSet/log-collector", "pod-probes-identical"): "the collector has one path for health and readiness",
    ("DaemonSet/log-collector", "container-security-context-user-group-id"): (
        "the group 0 may read the kubelet's log files, which belong to root; the user is none that the node knows"
    ),
}
"""Critical findings that stay, by object and check, with the reason; `*` is every pod."""


def cluster() -> list[Manifest]:
    """Everything in one cluster, with Envoy Gateway's controller out of its chart."""
    left_out = ("gateway", "gateway-acme", "gateway-secret", "gateway-foreign", "monitoring", "cert-manager")
    left_out += ("grafana",)
    left_out += ("logs-cloudwatch", "logs-cloud-logging", "monitoring-amazon", "monitoring-google")
    # What `scalers` watches is in no set; with both of KEDA's there would be two of each object.
    left_out += ("scalers", "keda")
    ours = [manifest for name, manifests in sets().items() if name not in left_out for manifest in manifests]
    return [*ours, *charts.rendered()["gateway-all"], *charts.rendered()["cert-manager-acme"]]


def findings(manifests: list[Manifest]) -> set[str]:
    """Checks that find anything, critical or not."""
    return {check for (_, check), grade in kube_score.judge(manifests).items() if grade < kube_score.PASSED}


@pytest.fixture(scope="module")
def grades() -> dict[tuple[str, str], int]:
    return kube_score.judge(cluster())


def test_nothing_is_critical_but_what_has_its_reason(grades: dict[tuple[str, str], int]) -> None:
    found = {row for row, grade in grades.items() if grade <= kube_score.CRITICAL}
    everywhere = {check for name, check in EXCEPTIONS if name == "*"}
    assert {row if row[1] not in everywhere else ("*", row[1]) for row in found} == set(EXCEPTIONS)


def test_every_object_is_judged(grades: dict[tuple[str, str], int]) -> None:
    judged = {name for name, _ in grades}
    kinds = {name.partition("/")[0] for name in judged}
    assert {"Deployment", "Job", "NetworkPolicy", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"} <= kinds
    pods = {f"Deployment/{m['metadata']['name']}" for m in cluster() if m["kind"] == "Deployment"}
    assert pods <= judged
    assert len(grades) > 500


def deployment(manifests: list[Manifest]) -> Any:
    (found,) = [each for each in manifests if each["kind"] == "Deployment"]
    return found["spec"]


def container(manifests: list[Manifest]) -> Any:
    return deployment(manifests)["template"]["spec"]["containers"][0]


def without(kind: str) -> Callable[[list[Manifest]], None]:
    def change(manifests: list[Manifest]) -> None:
        manifests[:] = [each for each in manifests if each["kind"] != kind]

    return change


def node_port(manifests: list[Manifest]) -> None:
    (service,) = [each for each in manifests if each["kind"] == "Service"]
    service["spec"]["type"] = "NodePort"


PLANTED: dict[str, Callable[[list[Manifest]], None]] = {
    "container-resources": lambda manifests: container(manifests)["resources"].pop("limits"),
    "container-image-tag": lambda manifests: container(manifests).update(image="registry.example/x:latest"),
    "container-security-context-user-group-id": lambda manifests: container(manifests)["securityContext"].update(
        runAsUser=1000
    ),
    "container-security-context-privileged": lambda manifests: container(manifests)["securityContext"].update(
        privileged=True
    ),
    "container-security-context-readonlyrootfilesystem": lambda manifests: container(manifests)["securityContext"].pop(
        "readOnlyRootFilesystem"
    ),
    "pod-probes": lambda manifests: container(manifests).pop("readinessProbe"),
    "pod-networkpolicy": without("NetworkPolicy"),
    "deployment-has-poddisruptionbudget": without("PodDisruptionBudget"),
    "service-type": node_port,
    "deployment-pod-selector-labels-match-template-metadata-labels": lambda manifests: deployment(manifests)[
        "selector"
    ].update(matchLabels={"a": "b"}),
}
"""Changes of a model's objects by the check that must find them."""


@pytest.mark.parametrize("check", PLANTED)
def test_what_is_planted_is_found(check: str) -> None:
    manifests = copy.deepcopy(sets()["versions-1"])
    assert check not in findings(manifests)
    PLANTED[check](manifests)
    assert check in findings(manifests)
