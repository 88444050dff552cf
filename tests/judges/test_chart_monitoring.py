"""The official chart kube-prometheus-stack with our values: what it makes of them, before the same judges as our objects.

`helm pull oci://ghcr.io/prometheus-community/charts/kube-prometheus-stack --version VERSION` brings it;
KUBE_PROMETHEUS_STACK names the file. No Go module carries this chart, so nothing here fetches it.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from modelway.monitoring.chart import (
    CHART_VERSION,
    OPERATOR_IMAGE,
    RELEASE,
    RELOADER_IMAGE,
    ChartSpec,
    chart_values,
    image_values,
    operator_network_policy,
)
from modelway.monitoring.objects import monitoring_manifests
from modelway.monitoring.operator import crd_manifests
from modelway.monitoring.stack import monitoring_spec

from tests.judges import checkov, kube_score, pod_security
from tools.progress import Progress
from tools.toolchain import ensure

CHART = os.environ.get("KUBE_PROMETHEUS_STACK", "")
pytestmark = pytest.mark.skipif(not CHART, reason="KUBE_PROMETHEUS_STACK names no chart")
DIGEST = "@sha256:" + "a" * 64
SPEC = monitoring_spec(
    "monitoring",
    {
        "image": f"docker.io/prom/prometheus{DIGEST}",
        "models_namespaces": ["modelway-models"],
        "storage_class": "fast",
        "receivers": [{"name": "chat", "webhook": {"url": "http://chat.example/x"}}],
        "alertmanager_image": f"docker.io/prom/alertmanager{DIGEST}",
        "remote_write": {"url": "https://aps.example/api/v1/remote_write", "aws_region": "eu-west-1"},
    },
)
IMAGES = ChartSpec(
    image_values(SPEC.image), image_values(f"{OPERATOR_IMAGE}{DIGEST}"), image_values(f"{RELOADER_IMAGE}{DIGEST}")
)
VALUES = chart_values(SPEC, IMAGES)
MADE = {
    "ServiceAccount/kube-prometheus-stack-operator",
    "Secret/kube-prometheus-stack-prometheus-am-confg",
    "ClusterRole/kube-prometheus-stack-operator",
    "ClusterRole/kube-prometheus-stack-prometheus",
    "ClusterRoleBinding/kube-prometheus-stack-operator",
    "ClusterRoleBinding/kube-prometheus-stack-prometheus",
    "Service/kube-prometheus-stack-operator",
    "Deployment/kube-prometheus-stack-operator",
    "Prometheus/kube-prometheus-stack-prometheus",
}
OPEN_MAPS = (".prometheusOperator.containerSecurityContext", ".prometheusOperator.podLabels")
"""Values that the chart hands on whole."""
CHECKOV = {
    "CKV_K8S_38": "the operator is a client of the API server: it needs its token",
    "CKV_K8S_49": "the chart's ClusterRole gives the operator every verb on its own kinds, StatefulSets and Secrets",
}
KUBE_SCORE = {
    "container-ephemeral-storage-request-and-limit": "the operator writes no files",
    "container-image-pull-policy": "images are named by digest",
    "networkpolicy-targets-pod": "the pod of Prometheus is made by the operator",
    "pod-probes-identical": "the operator has one path for health and readiness",
    "service-targets-pod": "the pod of Prometheus is made by the operator",
}
"""Findings that stay, by check, with the reason."""
Manifest = dict[str, Any]


def files(*arguments: str, text: str | None = None) -> str:
    helm = ensure(["helm"], Progress())["helm"].path
    done = subprocess.run([str(helm), *arguments], input=text, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    command = ("template", RELEASE, CHART, "--namespace", SPEC.namespace, "--skip-crds", "--values", "-")
    return [found for found in yaml.safe_load_all(files(*command, text=json.dumps(VALUES))) if found]


@pytest.fixture(scope="module")
def together(manifests: list[Manifest]) -> list[Manifest]:
    """With the objects that are ours on both grounds."""
    made = ("ConfigMap", "PersistentVolumeClaim", "Deployment")
    ours = [manifest for manifest in monitoring_manifests(SPEC) if manifest["kind"] not in made]
    return [*manifests, *ours, operator_network_policy(SPEC)]


def prometheus(manifests: list[Manifest]) -> Manifest:
    (found,) = [manifest for manifest in manifests if manifest["kind"] == "Prometheus"]
    return found


def unknown(ours: Mapping[str, Any], theirs: Any, path: str = "") -> Iterator[str]:
    """Our values that the chart's own do not have."""
    for key, value in ours.items():
        where = f"{path}.{key}"
        if not isinstance(theirs, dict) or key not in theirs:
            yield where
        elif isinstance(value, dict) and theirs[key] and where not in OPEN_MAPS:
            yield from unknown(value, theirs[key], where)


def unspecified(given: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Fields that the schema does not have, which the API server would drop."""
    if isinstance(given, list):
        for item in given:
            yield from unspecified(item, schema["items"], path)
    elif isinstance(given, dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        for key, value in given.items():
            known = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
            if known:
                yield from unspecified(value, known, f"{path}.{key}")
            else:
                yield f"{path}.{key}"


def test_it_is_the_version_that_the_component_installs() -> None:
    assert yaml.safe_load(files("show", "chart", CHART))["version"] == CHART_VERSION


def test_the_chart_has_every_value_that_it_is_told() -> None:
    assert list(unknown(VALUES, yaml.safe_load(files("show", "values", CHART)))) == []


def test_the_chart_makes_the_operator_and_its_prometheus_and_nothing_else(manifests: list[Manifest]) -> None:
    assert {f"{found['kind']}/{found['metadata']['name']}" for found in manifests} == MADE


def test_prometheus_is_what_the_operators_schema_says_and_loses_no_value(manifests: list[Manifest]) -> None:
    found = prometheus(manifests)
    (crd,) = [each for each in crd_manifests() if each["metadata"]["name"].startswith("prometheuses.")]
    (schema,) = [each["schema"]["openAPIV3Schema"] for each in crd["spec"]["versions"]]
    jsonschema.validate(found, schema)
    assert list(unspecified(found["spec"], schema["properties"]["spec"], "spec")) == []
    told = VALUES["prometheus"]["prometheusSpec"]
    for key in ("podMetadata", "remoteWrite", "scrapeClasses", "securityContext", "volumes", "ruleSelector"):
        assert found["spec"][key] == told[key]
    assert (found["spec"]["image"], found["spec"]["serviceAccountName"]) == (SPEC.image, "prometheus")
    assert found["spec"]["storage"] == told["storageSpec"]


def test_pod_security_lets_the_operator_in(manifests: list[Manifest]) -> None:
    pods = dict(pod_security.templates(manifests))
    assert list(pods) == ["Deployment/kube-prometheus-stack-operator"]
    assert pod_security.judge(pods.values()) == [pod_security.Verdict(allowed=True, reasons=[])]


def test_nothing_is_found_but_what_has_its_reason(together: list[Manifest], tmp_path: Path) -> None:
    (tmp_path / "chart").mkdir()
    for number, manifest in enumerate(together):
        (tmp_path / "chart" / f"{number}.json").write_text(json.dumps(manifest))
    assert {row[1] for row in checkov.judge(tmp_path, "kubernetes").failed} == set(CHECKOV)
    known = [manifest for manifest in together if manifest["kind"] != "Prometheus"]
    grades = kube_score.judge(known)
    assert {check for (_, check), grade in grades.items() if grade <= kube_score.CRITICAL} == set(KUBE_SCORE)
