"""The API server's own Pod Security admission judges every pod that comes of what we write."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from modelway.namespace import POD_SECURITY_VERSION

from tests.judges import charts, pod_security
from tests.unit import k8s_mutants
from tests.unit.k8s_objects import sets

Pod = dict[str, Any]
LOG_COLLECTOR = "DaemonSet/log-collector"
"""Reads the node's log files, in a namespace of its own that lets it."""


def pods() -> list[tuple[str, Pod]]:
    rendered = {**sets(), **{f"chart-{name}": manifests for name, manifests in charts.rendered().items()}}
    return [
        (f"{group}/{name}", pod)
        for group, manifests in rendered.items()
        for name, pod in pod_security.templates(manifests)
    ]


@pytest.mark.parametrize(("level", "admitted", "refused"), [("restricted", 23, 76), ("baseline", 15, 34)])
def test_the_judge_decides_as_upstreams_own_fixtures_do(level: str, admitted: int, refused: int) -> None:
    known = pod_security.fixtures(level, "v1.35")
    assert (len(known["pass"]), len(known["fail"])) == (admitted, refused)
    for kind, wanted in (("pass", True), ("fail", False)):
        verdicts = pod_security.judge(known[kind], level, "v1.35")
        wrong = [
            pod["metadata"]["name"]
            for pod, verdict in zip(known[kind], verdicts, strict=True)
            if verdict.allowed is not wanted
        ]
        assert wrong == []
        assert all(bool(verdict.reasons) is not wanted for verdict in verdicts)


@pytest.mark.parametrize("version", ["latest", POD_SECURITY_VERSION])
def test_every_pod_is_admitted_as_restricted(version: str) -> None:
    found = [(name, pod) for name, pod in pods() if not name.endswith(LOG_COLLECTOR)]
    assert len(found) >= 20
    verdicts = pod_security.judge([pod for _, pod in found], "restricted", version)
    refused = {name: verdict.reasons for (name, _), verdict in zip(found, verdicts, strict=True) if not verdict.allowed}
    assert refused == {}


@pytest.mark.parametrize("version", ["latest", POD_SECURITY_VERSION])
def test_the_log_collector_breaks_restricted_by_the_folder_of_the_log_files_alone(version: str) -> None:
    found = [pod for name, pod in pods() if name.endswith(LOG_COLLECTOR)]
    reasons = [verdict.reasons for verdict in pod_security.judge(found, "restricted", version)]
    only = ['restricted volume types: volume "pods" uses restricted volume type "hostPath"']
    assert (len(found), reasons) == (3, [only] * 3)


def planted(change: Callable[[Pod], None]) -> Pod:
    (pod,) = [pod for name, pod in pods() if name == "versions-1/Deployment/iris-1-v0"]
    pod = copy.deepcopy(pod)
    change(pod["spec"])
    return pod


PLANTED: dict[str, Callable[[Pod], None]] = {
    "host namespaces": lambda spec: spec.update(hostNetwork=True),
    'restricted volume type "hostPath"': lambda spec: spec["volumes"].append(
        {"name": "host", "hostPath": {"path": "/"}}
    ),
    "hostPort": lambda spec: spec["containers"][0]["ports"][0].update(hostPort=8080),
    "privileged": lambda spec: spec["containers"][0]["securityContext"].update(privileged=True),
    "allowPrivilegeEscalation": lambda spec: spec["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"),
    "unrestricted capabilities": lambda spec: spec["containers"][0]["securityContext"].pop("capabilities"),
    "runAsUser=0": lambda spec: spec["containers"][0]["securityContext"].update(runAsUser=0),
    "runAsNonRoot": lambda spec: spec["containers"][0]["securityContext"].update(runAsNonRoot=False),
    "seccompProfile": lambda spec: spec["securityContext"].update(seccompProfile={"type": "Unconfined"}),
    "probe or lifecycle host": lambda spec: spec["containers"][0]["livenessProbe"]["httpGet"].update(host="192.0.2.1"),
}
"""What the judge must say of each change of a server's pod."""


@pytest.mark.parametrize("reason", PLANTED)
def test_what_is_planted_is_found(reason: str) -> None:
    (verdict,) = pod_security.judge([planted(PLANTED[reason])])
    assert not verdict.allowed
    assert reason in "; ".join(verdict.reasons)


WEAKENINGS = {
    *("hostNetwork", "hostPID", "hostIPC", "hostPath", "sidecar", "initContainer", "sysctls", "pod as root"),
    *("pod seccomp", "privileged", "root", "runAsNonRoot", "allowPrivilegeEscalation", "added capability"),
    *("kept capabilities", "seccomp", "appArmor", "procMount", "hostPort", "probe of another host"),
}
"""Weakenings of `k8s_mutants` that Pod Security knows."""


def test_the_weakenings_that_pod_security_knows_are_refused_and_no_other() -> None:
    mutants = [
        (mutant.where, template)
        for name, manifests in sets().items()
        if name != "versions-8"
        for mutant in k8s_mutants.mutants(manifests)
        if mutant.harmed and mutant.where.startswith("Deployment/") and mutant.harmed.get("spec", {}).get("template")
        for template in [mutant.harmed["spec"]["template"]]
        if template.get("spec")
    ]
    verdicts = pod_security.judge([template for _, template in mutants])
    refused = [where for (where, _), verdict in zip(mutants, verdicts, strict=True) if not verdict.allowed]
    assert {where.partition("+")[2] for where in refused} - {""} == WEAKENINGS
    assert len(refused) > 500


def test_a_field_that_pods_do_not_have_is_an_error_and_no_verdict() -> None:
    with pytest.raises(AssertionError, match='unknown field "privilege"'):
        pod_security.judge([{"spec": {"containers": [], "privilege": False}}])
