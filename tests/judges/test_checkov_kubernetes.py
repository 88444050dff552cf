"""checkov judges every Kubernetes object that we write: a judge that knows nothing of them."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.judges import charts, checkov
from tests.unit.k8s_objects import sets

Manifest = dict[str, Any]

CHART_EXCEPTIONS = {
    "CKV_K8S_38": "controller and certificate job are clients of the API server: they need their token",
    "CKV_K8S_40": "cert-manager's images name their user, and it is not root",
    "CKV_K8S_8": "cert-manager's CA injector serves nothing that could be asked, and the check of the API ends by itself",
    "CKV_K8S_9": "cert-manager's CA injector serves nothing that could be asked, and the check of the API ends by itself",
    "CKV_K8S_155": "cert-manager's CA injector exists to write its authority into webhooks",
    "CKV2_K8S_5": "the certificate job writes Secrets, by a Role of the gateway's own namespace, and then ends",
    "CKV_K8S_15": "the chart names its images by tag, unless `gateway_image` names a digest, as production must",
    "CKV_K8S_43": "the chart names its images by tag, unless `gateway_image` names a digest, as production must",
}
"""Findings in objects of charts that are not ours, by check, with the reason."""


def container(manifests: list[Manifest]) -> Any:
    (found,) = [each for each in manifests if each["kind"] == "Deployment"]
    return found["spec"]["template"]["spec"]["containers"][0]


def security(**fields: Any) -> Callable[[list[Manifest]], None]:
    def change(manifests: list[Manifest]) -> None:
        container(manifests)["securityContext"].update(fields)

    return change


def pod(**fields: Any) -> Callable[[list[Manifest]], None]:
    def change(manifests: list[Manifest]) -> None:
        (found,) = [each for each in manifests if each["kind"] == "Deployment"]
        found["spec"]["template"]["spec"].update(fields)

    return change


PLANTED: dict[str, Callable[[list[Manifest]], None]] = {
    "CKV_K8S_20": security(allowPrivilegeEscalation=True),
    "CKV_K8S_22": security(readOnlyRootFilesystem=False),
    "CKV_K8S_16": security(privileged=True),
    "CKV_K8S_40": security(runAsUser=0),
    "CKV_K8S_37": security(capabilities={}),
    "CKV_K8S_19": pod(hostNetwork=True),
    "CKV_K8S_43": lambda manifests: container(manifests).update(image="registry.example/x:v1"),
    "CKV_K8S_8": lambda manifests: container(manifests).update(livenessProbe=None),
    "CKV_K8S_13": lambda manifests: container(manifests)["resources"]["limits"].pop("memory"),
}
"""Changes of a model's objects by the check that must find them."""


def folders() -> dict[str, list[Manifest]]:
    """Our objects; those of charts beside the policies that we write for them; what is planted."""
    ours = sets()
    # The same objects eight times tell no more, and take as long as all others.
    ours.pop("versions-8")
    rendered = {
        f"chart-{name}": [*manifests, *(m for m in ours[name] if m["kind"] == "NetworkPolicy")]
        for name, manifests in charts.rendered().items()
    }
    planted = {}
    for check, change in PLANTED.items():
        planted[f"planted-{check}"] = copy.deepcopy(ours["versions-1"])
        change(planted[f"planted-{check}"])
    return {**ours, **rendered, **planted}


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> checkov.Verdict:
    """One run over all folders: starting checkov takes longer than judging."""
    root = tmp_path_factory.mktemp("objects")
    for name, manifests in folders().items():
        (root / name).mkdir()
        for number, manifest in enumerate(manifests):
            (root / name / f"{number}.json").write_text(json.dumps(manifest))
    return checkov.judge(root, "kubernetes")


def ours(rows: list[tuple[str, str, str]]) -> set[tuple[str, str]]:
    return {row[:2] for row in rows if not row[0].startswith(("chart-", "planted-"))}


def test_nothing_of_ours_fails(verdict: checkov.Verdict) -> None:
    assert ours(verdict.failed) == set()
    assert verdict.skipped == []


def test_nothing_of_the_charts_fails_but_what_has_its_reason(verdict: checkov.Verdict) -> None:
    assert {row[1] for row in verdict.failed if row[0].startswith("chart-")} == set(CHART_EXCEPTIONS)


def test_every_set_with_pods_is_judged(verdict: checkov.Verdict) -> None:
    judged = {row[0] for row in verdict.passed if row[1] == "CKV_K8S_20"}
    kinds = ("Deployment", "DaemonSet")
    pods = {name for name, manifests in folders().items() if any(m["kind"] in kinds for m in manifests)}
    assert judged | {"planted-CKV_K8S_20"} == pods
    assert len(verdict.passed) > 1000


@pytest.mark.parametrize("check", PLANTED)
def test_what_is_planted_is_found(verdict: checkov.Verdict, check: str) -> None:
    assert (f"planted-{check}", check) in {row[:2] for row in verdict.failed}
