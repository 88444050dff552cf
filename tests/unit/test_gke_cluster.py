"""What `GkeCluster` registers for production, in preview and in up, and what it gives out."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from modelway.cluster.gke.kubeconfig import gke_kubeconfig
from pulumi.provider.experimental.component import ComponentProvider

from tests.unit import gcp_checks, gcp_options, gcp_testing
from tests.unit.cloud_testing import UNKNOWN
from tests.unit.gcp_testing import ArtifactRegistry, GkeCluster, Recorded, without
from tests.unit.schemas import undescribed


@pytest.fixture(scope="module")
def production() -> Recorded:
    return gcp_testing.cluster()


@pytest.fixture(scope="module")
def preview() -> Recorded:
    return gcp_testing.cluster(preview=True)


@pytest.mark.parametrize("check", [*gcp_checks.CLUSTER_CHECKS, *gcp_options.CLUSTER_CHECKS], ids=lambda f: f.__name__)
def test_production_registers_exactly_this(production: Recorded, check: Callable[[Recorded], None]) -> None:
    check(production)


def test_production_is_these_resources_and_no_other(production: Recorded) -> None:
    counted = {kind.rpartition(":")[2]: count for kind, count in production.counts().items()}
    network = {"Network": 1, "Subnetwork": 1, "Firewall": 1, "Router": 1, "RouterNat": 1}
    keys = {"KeyRing": 1, "CryptoKey": 2, "CryptoKeyIAMMember": 2}
    identities = {"Account": 1, "IAMMember": 1, "Service": 7, "ServiceIdentity": 1}
    assert counted == network | keys | identities | {"GkeCluster": 1, "kubernetes": 1, "Cluster": 1, "NodePool": 3}


def test_a_preview_registers_the_same_with_unknowns_only_where_google_decides(
    production: Recorded, preview: Recorded
) -> None:
    assert preview.urns == production.urns
    known = {resource.name: resource.inputs for resource in preview.resources}

    def compare(path: str, up: Any, before: Any) -> None:
        if before == UNKNOWN:
            # An id or an address of a service account: nothing that this program chose.
            assert "${" in json.dumps(up), path
        elif isinstance(up, dict):
            assert up.keys() == before.keys(), path
            for key, value in up.items():
                compare(f"{path}.{key}", value, before[key])
        elif isinstance(up, list):
            assert len(up) == len(before), path
            for index, value in enumerate(up):
                compare(f"{path}[{index}]", value, before[index])
        else:
            assert up == before, path

    for resource in production.resources:
        if resource.name != "cluster-kubernetes":
            compare(resource.name, resource.inputs, known[resource.name])
    assert (
        known["cluster-kubernetes"]["clusterIdentifier"] == production.inputs("cluster-kubernetes")["clusterIdentifier"]
    )


def test_the_number_of_the_project_is_asked_in_preview_too(production: Recorded, preview: Recorded) -> None:
    asked = ["gcp:organizations/getProject:getProject(models-of-acme)"]
    assert preview.calls == production.calls == asked


def outputs(args: dict[str, Any], preview: bool = False) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    def program() -> None:
        made = GkeCluster("cluster", args)  # type: ignore[arg-type]
        for name in ("name", "kubeconfig", "endpoint", "capabilities", "network_id", "node_service_accounts"):
            getattr(made, name).apply(lambda value, key=name: seen.update({key: value}))
        seen["provider"] = made.provider

    gcp_testing.record(program, preview)
    return seen


def test_outputs_are_those_of_every_cluster() -> None:
    seen = outputs(gcp_testing.PRODUCTION)
    host = "10.0.0.2"
    assert seen["name"] == "cluster"
    assert seen["endpoint"] == f"https://{host}"
    assert seen["network_id"] == "${google_compute_network.cluster-network.id}"
    assert seen["node_service_accounts"] == ["${google_service_account.cluster-nodes.email}"]
    assert seen["capabilities"] == {
        "load_balancer": "gke",
        "volumes": "pd.csi.storage.gke.io",
        "gpu_pools": ["gpu"],
        "identity": "gke-workload-identity",
        "identity_endpoint": "169.254.169.254:80",
    }
    assert isinstance(seen["provider"], pulumi.ProviderResource)
    assert seen["kubeconfig"] == gke_kubeconfig("cluster", host, "Q0E=")


def test_a_name_is_reached_without_the_clusters_own_authority() -> None:
    seen = outputs(without(api_access={"dns": True}))
    assert seen["endpoint"] == "https://gke-1.europe-west4.gke.goog"
    assert seen["kubeconfig"] == gke_kubeconfig("cluster", "gke-1.europe-west4.gke.goog")


def test_named_addresses_reach_the_public_one() -> None:
    seen = outputs(without(api_access={"cidrs": ["8.8.8.8/32"]}))
    assert seen["endpoint"] == "https://203.0.113.9"
    assert seen["kubeconfig"] == gke_kubeconfig("cluster", "203.0.113.9", "Q0E=")


def test_the_kubeconfig_asks_for_a_token_and_holds_none() -> None:
    document = json.loads(gke_kubeconfig("models", "10.0.0.2", "Q0E="))
    assert document["users"] == [
        {
            "name": "models",
            "user": {
                "exec": {
                    "apiVersion": "client.authentication.k8s.io/v1beta1",
                    "command": "gke-gcloud-auth-plugin",
                    "installHint": "install gke-gcloud-auth-plugin (https://cloud.google.com/kubernetes-engine/docs/how-to/"
                    "cluster-access-for-kubectl#install_plugin)",
                    "interactiveMode": "Never",
                    "provideClusterInfo": True,
                }
            },
        }
    ]
    assert document["clusters"] == [
        {"name": "models", "cluster": {"server": "https://10.0.0.2", "certificate-authority-data": "Q0E="}}
    ]
    assert document["contexts"] == [{"name": "models", "context": {"cluster": "models", "user": "models"}}]
    assert document["current-context"] == "models"


def test_a_minor_upgrade_changes_the_version_and_nothing_else(production: Recorded) -> None:
    """Nodes follow by themselves, in the maintenance window."""
    after = gcp_testing.cluster(without(kubernetes_version="1.36"))
    changed = {
        (resource.name, key)
        for resource in after.resources
        for key, value in resource.inputs.items()
        if production.inputs(resource.name)[key] != value
    }
    assert changed == {("cluster-control-plane", "minMasterVersion")}
    assert after.urns == production.urns


def test_development_differs_by_protection_only(production: Recorded) -> None:
    after = gcp_testing.cluster(without(production=False))
    changed = {
        (resource.name, key)
        for resource in after.resources
        for key, value in resource.inputs.items()
        if production.inputs(resource.name)[key] != value
    }
    assert changed == {("cluster-control-plane", "deletionProtection")}
    assert [name for name, options in after.options.items() if options["protect"]] == []
    assert after.urns == production.urns


def test_labels_reach_every_resource_that_has_labels() -> None:
    after = gcp_testing.cluster(without(labels={"team": "vision"}))
    labelled = {
        resource.name: labels
        for resource in after.resources
        for labels in (
            resource.inputs.get("labels"),
            resource.inputs.get("resourceLabels"),
            resource.inputs.get("nodeConfig", {}).get("resourceLabels"),
        )
        if labels is not None
    }
    keys = ["cluster-secrets-key", "cluster-disks-key"]
    pools = [f"cluster-pool-{pool}" for pool in ("base", "arm", "gpu")]
    assert sorted(labelled) == sorted(["cluster-control-plane", *keys, *pools])
    assert all(labels == {"modelway-cluster": "cluster", "team": "vision"} for labels in labelled.values())


@pytest.mark.parametrize(
    "statement",
    [
        "import modelway",
        "import modelway.cluster.gke",
        "from modelway.cluster.gke import GkeClusterArgs, GkeNodePoolArgs",
    ]
    + [f"import modelway.cluster.gke.{name}" for name in ("kubeconfig", "machine_types", "tables", "validation")],
)
def test_no_sdk_of_a_cloud_is_imported_before_the_component(statement: str) -> None:
    clouds = "('pulumi_aws', 'pulumi_gcp')"
    code = f"{statement}; import sys; assert not [name for name in sys.modules if name.startswith({clouds})]"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_component_imports_no_other_cloud() -> None:
    code = (
        "import warnings; warnings.simplefilter('ignore'); from modelway.cluster.gke import GkeCluster; "
        "import modelway.registry.artifact_registry, sys; "
        "assert not [name for name in sys.modules if name.startswith('pulumi_aws')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_property_of_the_schema_is_described() -> None:
    schema = json.loads(ComponentProvider([GkeCluster, ArtifactRegistry], "modelway", version="0.0.0").schema)
    assert undescribed(schema) == []
    assert sorted(schema["resources"]) == ["modelway:index:ArtifactRegistry", "modelway:index:GkeCluster"]
