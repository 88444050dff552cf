"""Every object that the components write, judged by Kubernetes' own schemas and by the rules of the house."""

from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
from modelway._common import CLASSES, CUSTOM_KINDS
from modelway.gateway.objects import GatewaySpec, crd_manifests, gateway_manifests, network_policies
from modelway.monitoring.config import ScrapeSpec
from modelway.monitoring.objects import MonitoringSpec, monitoring_manifests
from modelway.namespace import default_deny_manifest, namespace_manifest
from modelway.serving.objects import Autoscaling, ServerSpec, feedback_key_manifest, server_manifests
from modelway.serving.routes import Arm, RouteSpec, route_manifests

from tests.unit.runtime_samples import FULL, IMAGE, foreign

GATEWAY = GatewaySpec("modelway", "modelway-gateway", ("modelway-models",), "modelway-monitoring")
SERVER = ServerSpec("iris", "v1", "modelway-models", IMAGE, "modelway-gateway", "modelway-monitoring")
SCALED = ServerSpec(
    "iris",
    "v2",
    "modelway-models",
    IMAGE,
    "modelway-gateway",
    "modelway-monitoring",
    autoscaling=Autoscaling(2, 5),
    pull_secret="pull",
)
ARMS = [Arm(name, f"iris-{name}", 100, foreign(name).server) for name in FULL if name != "vllm"]
LLM = [Arm("v1", "llm-v1", 100, foreign("vllm").server)]
ROUTES = RouteSpec("iris", "modelway-models", "modelway", "modelway-gateway", ARMS, "/iris", "iris.example")
LLM_ROUTES = RouteSpec("llm", "modelway-models", "modelway", "modelway-gateway", LLM, "/llm")
MONITORING = MonitoringSpec("modelway-monitoring", IMAGE, ScrapeSpec(("modelway-models",), "modelway-gateway"))


def manifests() -> list[dict[str, Any]]:
    return [
        namespace_manifest("modelway-models", routes=True),
        default_deny_manifest("modelway-models"),
        *server_manifests(SERVER),
        *server_manifests(SCALED),
        *(manifest for name in FULL for manifest in server_manifests(foreign(name))),
        *route_manifests(ROUTES),
        *route_manifests(LLM_ROUTES),
        feedback_key_manifest("iris", "modelway-models", "c2VjcmV0"),
        *gateway_manifests(GATEWAY),
        *network_policies(GATEWAY),
        *monitoring_manifests(MONITORING),
    ]


def identity(manifest: dict[str, Any]) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


def pods() -> Iterator[dict[str, Any]]:
    for manifest in manifests():
        if manifest["kind"] == "Deployment":
            yield manifest["spec"]["template"]


@pytest.mark.parametrize("minor", ["1.34", "1.35", "1.36"])
@pytest.mark.parametrize(
    "manifest", [m for m in manifests() if (m["apiVersion"], m["kind"]) not in CUSTOM_KINDS], ids=identity
)
def test_every_object_fits_the_schema_of_three_kubernetes_minors(manifest: dict[str, Any], minor: str) -> None:
    kubernetes_validate.validate(manifest, minor, strict=True)


@pytest.mark.parametrize("manifest", manifests(), ids=identity)
def test_every_kind_can_be_registered(manifest: dict[str, Any]) -> None:
    assert (manifest["apiVersion"], manifest["kind"]) in {*CLASSES, *CUSTOM_KINDS}


def schema_of(manifest: dict[str, Any]) -> dict[str, Any]:
    version = manifest["apiVersion"].split("/")[1]
    (crd,) = [
        crd
        for crd in crd_manifests()
        if crd["kind"] == "CustomResourceDefinition"
        and crd["spec"]["names"]["kind"] == manifest["kind"]
        and crd["spec"]["group"] == manifest["apiVersion"].split("/")[0]
    ]
    (found,) = [entry for entry in crd["spec"]["versions"] if entry["name"] == version]
    return dict(found["schema"]["openAPIV3Schema"])


def unknown_fields(value: Any, schema: dict[str, Any], path: str) -> list[str]:
    if isinstance(value, list):
        return [name for item in value for name in unknown_fields(item, schema.get("items", {}), path + "[]")]
    if not isinstance(value, dict) or schema.get("x-kubernetes-preserve-unknown-fields"):
        return []
    properties, extra = schema.get("properties"), schema.get("additionalProperties")
    if properties is None:
        return [] if extra or path.endswith(".metadata") else [path]
    return [
        name
        for key, inner in value.items()
        for name in (
            unknown_fields(inner, properties[key], f"{path}.{key}") if key in properties else [f"{path}.{key}"]
        )
    ]


@pytest.mark.parametrize(
    "manifest", [m for m in manifests() if (m["apiVersion"], m["kind"]) in CUSTOM_KINDS], ids=identity
)
def test_every_custom_object_uses_only_fields_of_its_crd(manifest: dict[str, Any]) -> None:
    assert unknown_fields(manifest, schema_of(manifest), manifest["kind"]) == []


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


def test_a_changed_prometheus_configuration_rolls_the_pod() -> None:
    def name(spec: MonitoringSpec) -> str:
        (found,) = [m["metadata"]["name"] for m in monitoring_manifests(spec) if m["kind"] == "ConfigMap"]
        return str(found)

    other = MonitoringSpec("modelway-monitoring", IMAGE, ScrapeSpec(("a", "b"), "modelway-gateway"))
    assert name(MONITORING) == name(MONITORING) != name(other)
