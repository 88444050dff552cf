"""Every object that the components write, judged by the rules of the house."""

from collections.abc import Iterator
from typing import Any

import pytest
from modelway._common import CUSTOM_KINDS, classes
from modelway.gateway.objects import crd_manifests
from modelway.monitoring.config import ScrapeSpec
from modelway.monitoring.objects import MonitoringSpec, monitoring_manifests
from modelway.serving.objects import ServerSpec, server_manifests

from tests.unit.k8s_objects import sets
from tests.unit.runtime_samples import IMAGE

SERVER = ServerSpec("iris", "v1", "modelway-models", IMAGE, "modelway-gateway", "modelway-monitoring")
MONITORING = MonitoringSpec("modelway-monitoring", IMAGE, ScrapeSpec(("modelway-models",), "modelway-gateway"))


def manifests() -> list[dict[str, Any]]:
    return [manifest for name, found in sets().items() if name != "versions-8" for manifest in found]


def identity(manifest: dict[str, Any]) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


def pods() -> Iterator[dict[str, Any]]:
    for manifest in manifests():
        if manifest["kind"] == "Deployment":
            yield manifest["spec"]["template"]


@pytest.mark.parametrize("manifest", manifests(), ids=identity)
def test_every_kind_can_be_registered(manifest: dict[str, Any]) -> None:
    assert (manifest["apiVersion"], manifest["kind"]) in {*classes(), *CUSTOM_KINDS}


def test_the_gateway_api_comes_from_the_standard_channel() -> None:
    channels = {
        crd["metadata"]["annotations"]["gateway.networking.k8s.io/channel"]
        for crd in crd_manifests()
        if crd["metadata"]["name"].endswith(".gateway.networking.k8s.io")
    }
    assert channels == {"standard"}


@pytest.mark.parametrize("pod", list(pods()), ids=lambda pod: "-".join(list(pod["metadata"]["labels"].values())[::3]))
def test_every_pod_is_hardened(pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["runAsUser"] >= 10000
        assert {"requests", "limits"} == set(container["resources"])
        assert "@sha256:" in container["image"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)


def test_a_rollout_never_takes_a_pod_away_before_another_is_ready() -> None:
    (deployment,) = [m for m in server_manifests(SERVER) if m["kind"] == "Deployment"]
    strategy = deployment["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


def test_a_pod_outlives_its_drain_and_its_longest_request() -> None:
    (deployment,) = [m for m in server_manifests(SERVER) if m["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    drain = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert (drain, pod["terminationGracePeriodSeconds"]) == (10, 50)


def test_only_gateway_and_prometheus_reach_a_server_and_it_reaches_nothing() -> None:
    (policy,) = [m["spec"] for m in server_manifests(SERVER) if m["kind"] == "NetworkPolicy"]
    sources = [
        (
            rule["from"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
            rule["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"],
            rule["ports"][0]["port"],
        )
        for rule in policy["ingress"]
    ]
    assert sources == [("modelway-gateway", "proxy", 8080), ("modelway-monitoring", "prometheus", 9090)]
    assert policy["egress"] == []


def test_a_changed_prometheus_configuration_replaces_no_pod() -> None:
    def found(spec: MonitoringSpec) -> dict[str, dict[str, Any]]:
        return {
            each["kind"]: each for each in monitoring_manifests(spec) if each["kind"] in ("ConfigMap", "Deployment")
        }

    ours = found(MONITORING)
    other = found(MonitoringSpec("modelway-monitoring", IMAGE, ScrapeSpec(("a", "b"), "modelway-gateway")))
    assert ours["ConfigMap"]["metadata"] == other["ConfigMap"]["metadata"]
    assert ours["ConfigMap"]["data"] != other["ConfigMap"]["data"]
    assert ours["Deployment"] == other["Deployment"]
