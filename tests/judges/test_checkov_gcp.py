"""checkov judges what the components of Google Cloud register: a judge that knows nothing of them."""

from pathlib import Path
from typing import Any

import pytest

from tests.judges import checkov, terraform
from tests.unit import gcp_testing
from tests.unit.cloud_testing import Recorded, Resource
from tests.unit.gcp_testing import REGISTRY, autopilot, without
from tests.unit.test_gke_variants import EXISTING

CLUSTERS: dict[str, dict[str, Any]] = {
    "production": gcp_testing.PRODUCTION,
    "api-by-name": without(api_access={"dns": True}),
    "public-api": without(api_access={"cidrs": ["203.0.113.7/32"]}),
    "autopilot": autopilot(),
    "existing-network": without(network=EXISTING),
    "development": without(production=False),
}
SKIPPED = {
    ("api-by-name", "CKV_GCP_20"): "asks which addresses may reach the API; this variant has no address to reach",
    (
        "autopilot",
        "CKV_GCP_12",
    ): "Autopilot enforces network policies; the provider refuses the block that is asked for",
    ("autopilot", "CKV_GCP_61"): "Autopilot has intranode visibility; the provider sets the field by itself",
    ("autopilot", "CKV_GCP_69"): "Autopilot's nodes have the metadata server; there is no node of ours to say it of",
    ("development", "CKV_GCP_82"): "what is made to try something goes with its keys",
}
"""Findings that stay, by variant and check, with the reason; at most five."""

TEETH: dict[str, tuple[str, str, Any]] = {
    "CKV_GCP_7": ("cluster-control-plane", "enableLegacyAbac", True),
    "CKV_GCP_12": ("cluster-control-plane", "datapathProvider", "LEGACY_DATAPATH"),
    "CKV_GCP_13": (
        "cluster-control-plane",
        "masterAuth",
        {"clientCertificateConfig": {"issueClientCertificate": True}},
    ),
    "CKV_GCP_18": (
        "cluster-control-plane",
        "masterAuthorizedNetworksConfig",
        {"cidrBlocks": [{"cidrBlock": "0.0.0.0/0"}]},
    ),
    "CKV_GCP_20": ("cluster-control-plane", "masterAuthorizedNetworksConfig", None),
    "CKV_GCP_21": ("cluster-control-plane", "resourceLabels", None),
    "CKV_GCP_23": ("cluster-control-plane", "ipAllocationPolicy", None),
    "CKV_GCP_25": ("cluster-control-plane", "privateClusterConfig", None),
    "CKV_GCP_61": ("cluster-control-plane", "enableIntranodeVisibility", False),
    "CKV_GCP_65": ("cluster-control-plane", "authenticatorGroupsConfig", None),
    "CKV_GCP_66": ("cluster-control-plane", "binaryAuthorization", {"evaluationMode": "DISABLED"}),
    "CKV_GCP_70": ("cluster-control-plane", "releaseChannel", None),
    "CKV_GCP_71": ("cluster-control-plane", "enableShieldedNodes", False),
    "CKV2_GCP_19": ("cluster-control-plane", "enableKubernetesAlpha", True),
    "CKV_GCP_9": ("cluster-pool-base", "management", {"autoRepair": False, "autoUpgrade": True}),
    "CKV_GCP_10": ("cluster-pool-base", "management", {"autoRepair": True, "autoUpgrade": False}),
    "CKV_GCP_68": ("cluster-pool-base", "nodeConfig", {"shieldedInstanceConfig": {"enableSecureBoot": False}}),
    "CKV_GCP_69": ("cluster-pool-base", "nodeConfig", {"workloadMetadataConfig": {"mode": "GCE_METADATA"}}),
    "CKV_GCP_72": (
        "cluster-pool-base",
        "nodeConfig",
        {"shieldedInstanceConfig": {"enableIntegrityMonitoring": False}},
    ),
    "CKV_GCP_26": ("cluster-subnet", "logConfig", None),
    "CKV_GCP_74": ("cluster-subnet", "privateIpGoogleAccess", False),
    "CKV_GCP_43": ("cluster-secrets-key", "rotationPeriod", "31536000s"),
    "CKV_GCP_112": ("cluster-secrets-key-user", "member", "allUsers"),
    "CKV_GCP_117": ("cluster-nodes-role", "role", "roles/editor"),
    "CKV2_GCP_18": ("cluster-deny-ingress", "network", "other"),
    "CKV_GCP_84": ("registry-repository", "kmsKeyName", None),
    "CKV_GCP_49": ("watch-writer", "role", "roles/iam.serviceAccountTokenCreator"),
    "CKV_GCP_101": ("registry-nodes-pull", "members", ["allUsers"]),
}
"""What checkov must find where it is planted, by check: resource, property, value. It shows that the converter's text
is understood."""

FOUND_ELSEWHERE = {"CKV2_GCP_18": "cluster-network"}
"""A firewall of another network is found at the network."""


def protected(*recordings: Recorded) -> set[str]:
    return {name for recorded in recordings for name, options in recorded.options.items() if options["protect"]}


@pytest.fixture(scope="module")
def recordings() -> dict[str, tuple[list[Resource], set[str]]]:
    registry = gcp_testing.registry(REGISTRY)
    beside = [*gcp_testing.monitoring().resources, *gcp_testing.logging().resources]
    made = {name: gcp_testing.cluster(args) for name, args in CLUSTERS.items()}
    return {
        name: ([*cluster.resources, *registry.resources, *beside], protected(cluster, registry))
        for name, cluster in made.items()
    }


def planted(resources: list[Resource], name: str, key: str, value: Any) -> list[Resource]:
    return [
        Resource(resource.typ, resource.name, {**resource.inputs, key: value}) if resource.name == name else resource
        for resource in resources
    ]


@pytest.fixture(scope="module")
def verdict(
    recordings: dict[str, tuple[list[Resource], set[str]]], tmp_path_factory: pytest.TempPathFactory
) -> checkov.Verdict:
    """One run over all folders: starting checkov takes longer than judging."""
    folder = tmp_path_factory.mktemp("terraform")
    modules = dict(recordings)
    production, kept = recordings["production"]
    for check, (name, key, value) in TEETH.items():
        modules[f"planted-{check}"] = (planted(production, name, key, value), kept)
    for module, (resources, names) in modules.items():
        (folder / module).mkdir()
        (folder / module / "main.tf").write_text(terraform.write(resources, names), encoding="utf-8")
    return checkov.judge(Path(folder))


def test_nothing_fails_but_what_is_skipped_with_its_reason(verdict: checkov.Verdict) -> None:
    found = {(module, check): resource for module, check, resource in verdict.failed if module in CLUSTERS}
    assert sorted(found) == sorted(SKIPPED)
    assert len(SKIPPED) <= 5


@pytest.mark.parametrize("module", CLUSTERS)
def test_clusters_networks_keys_and_registries_are_all_judged(verdict: checkov.Verdict, module: str) -> None:
    judged = {check for folder, check, _ in verdict.passed if folder == module}
    assert {"CKV_GCP_7", "CKV_GCP_13", "CKV_GCP_66", "CKV_GCP_43", "CKV_GCP_112", "CKV_GCP_84", "CKV_GCP_101"} <= judged
    print(module, len([1 for folder, _, _ in verdict.passed if folder == module]))
    assert len([1 for folder, _, _ in verdict.passed if folder == module]) > 40


@pytest.mark.parametrize("check", TEETH)
def test_what_is_planted_is_found(verdict: checkov.Verdict, check: str) -> None:
    found = {
        (failed, resource.partition(".")[2])
        for module, failed, resource in verdict.failed
        if module == f"planted-{check}"
    }
    assert (check, FOUND_ELSEWHERE.get(check, TEETH[check][0])) in found
