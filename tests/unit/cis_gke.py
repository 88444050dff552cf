"""CIS Google Kubernetes Engine Benchmark 1.9.0, section 5 (managed services): item, property, check.

`python -m tests.unit.cis_gke` writes `docs/cis-gke.md`. Ids and titles are those of kube-bench's
`cfg/gke-1.9.0/managedservices.yaml` (commit a73ce378 of 2026-06-09).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.unit import gcp_checks
from tests.unit.cloud_testing import Recorded

PAGE = Path(__file__).resolve().parents[2] / "docs/cis-gke.md"


def _none(_: Recorded) -> None:
    """No check."""


@dataclass(frozen=True)
class Row:
    """One item of the benchmark."""

    id: str
    title: str
    properties: tuple[str, ...] = ()
    """Resource and path, as the mutation test names them."""
    check: Callable[[Recorded], None] = _none
    reason: str = ""
    """Why nothing here checks it."""


def _pools(path: str) -> tuple[str, ...]:
    return tuple(f"cluster-pool-{pool}.{path}" for pool in ("base", "arm", "gpu"))


def _cluster(id_: str, title: str, *paths: str) -> Row:
    return Row(id_, title, tuple(f"cluster-control-plane.{path}" for path in paths), gcp_checks.control_plane)


def _nodes(id_: str, title: str, *paths: str) -> Row:
    return Row(id_, title, tuple(name for path in paths for name in _pools(path)), gcp_checks.node_pools)


ROWS = (
    Row(
        "5.1.1",
        "Ensure Image Vulnerability Scanning is enabled",
        ("registry-service-containerscanning.service",),
        gcp_checks.registry_services,
    ),
    Row(
        "5.1.2",
        "Minimize user access to Container Image repositories",
        ("registry-ci-pushes.role", "registry-ci-pushes.members"),
        gcp_checks.registry_roles,
    ),
    Row(
        "5.1.3",
        "Minimize cluster access to read-only for Container Image repositories",
        ("registry-nodes-pull.role", "registry-nodes-pull.members"),
        gcp_checks.registry_roles,
    ),
    _cluster("5.1.4", "Ensure only trusted container images are used", "binaryAuthorization.evaluationMode"),
    _nodes(
        "5.2.1",
        "Ensure GKE clusters are not running using the Compute Engine default service account",
        "nodeConfig.serviceAccount",
    ),
    _cluster(
        "5.2.2",
        "Prefer using dedicated GCP Service Accounts and Workload Identity",
        "workloadIdentityConfig.workloadPool",
    ),
    _cluster(
        "5.3.1",
        "Ensure Kubernetes Secrets are encrypted using keys managed in Cloud KMS",
        "databaseEncryption.state",
        "databaseEncryption.keyName",
    ),
    _nodes("5.4.1", "Ensure the GKE Metadata Server is Enabled", "nodeConfig.workloadMetadataConfig.mode"),
    _nodes(
        "5.5.1",
        "Ensure Container-Optimized OS (cos_containerd) is used for GKE node images",
        "nodeConfig.imageType",
    ),
    _nodes("5.5.2", "Ensure Node Auto-Repair is enabled for GKE nodes", "management.autoRepair"),
    _nodes("5.5.3", "Ensure Node Auto-Upgrade is enabled for GKE nodes", "management.autoUpgrade"),
    _cluster(
        "5.5.4",
        "When creating New Clusters - Automate GKE version management using Release Channels",
        "releaseChannel.channel",
    ),
    _cluster("5.5.5", "Ensure Shielded GKE Nodes are Enabled", "enableShieldedNodes"),
    _nodes(
        "5.5.6",
        "Ensure Integrity Monitoring for Shielded GKE Nodes is Enabled",
        "nodeConfig.shieldedInstanceConfig.enableIntegrityMonitoring",
    ),
    _nodes(
        "5.5.7",
        "Ensure Secure Boot for Shielded GKE Nodes is Enabled",
        "nodeConfig.shieldedInstanceConfig.enableSecureBoot",
    ),
    Row("5.6.1", "Enable VPC Flow Logs and Intranode Visibility", ("cluster-subnet.logConfig",), gcp_checks.network),
    _cluster("5.6.2", "Ensure use of VPC-native clusters", "networkingMode", "ipAllocationPolicy"),
    _cluster(
        "5.6.3",
        "Ensure Control Plane Authorized Networks is Enabled",
        "masterAuthorizedNetworksConfig",
        "masterAuthorizedNetworksConfig.gcpPublicCidrsAccessEnabled",
    ),
    _cluster(
        "5.6.4",
        "Ensure clusters are created with Private Endpoint Enabled and Public Access Disabled",
        "privateClusterConfig.enablePrivateEndpoint",
        "controlPlaneEndpointsConfig.dnsEndpointConfig.allowExternalTraffic.not",
    ),
    _cluster(
        "5.6.5",
        "Ensure clusters are created with Private Nodes",
        "privateClusterConfig.enablePrivateNodes",
    ),
    Row("5.6.6", "Consider firewalling GKE worker nodes", ("cluster-deny-ingress.denies",), gcp_checks.firewall),
    Row(
        "5.6.7",
        "Ensure use of Google-managed SSL Certificates",
        reason="not a property of the cluster: the gateway's listener ends TLS with certificates of cert-manager",
    ),
    _cluster("5.7.1", "Ensure Logging and Cloud Monitoring is Enabled", "loggingConfig", "monitoringConfig"),
    Row(
        "5.7.2",
        "Enable Linux auditd logging",
        reason="not a property of the cluster: a privileged DaemonSet would read it, and none runs here",
    ),
    _cluster(
        "5.8.1",
        "Ensure authentication using Client Certificates is Disabled",
        "masterAuth.clientCertificateConfig.issueClientCertificate",
    ),
    _cluster(
        "5.8.2", "Manage Kubernetes RBAC users with Google Groups for GKE", "authenticatorGroupsConfig.securityGroup"
    ),
    _cluster("5.8.3", "Ensure Legacy Authorization (ABAC) is Disabled", "enableLegacyAbac", "enableLegacyAbac.not"),
    Row(
        "5.9.1",
        "Enable Customer-Managed Encryption Keys (CMEK) for GKE Persistent Disks (PD)",
        reason="not a property of the cluster: the StorageClass of a volume names its key",
    ),
    _nodes(
        "5.9.2",
        "Enable Customer-Managed Encryption Keys (CMEK) for Boot Disks",
        "nodeConfig.bootDiskKmsKey",
    ),
    Row(
        "5.10.1",
        "Ensure Kubernetes Web UI is Disabled",
        reason="nothing to switch off: the provider has no field for the add-on any more",
    ),
    _cluster(
        "5.10.2",
        "Ensure that Alpha clusters are not used for production workloads",
        "enableKubernetesAlpha",
        "enableKubernetesAlpha.not",
    ),
    Row(
        "5.10.3",
        "Consider GKE Sandbox for running untrusted workloads",
        ("cluster-pool-arm.nodeConfig.sandboxConfig.type",),
        gcp_checks.node_pools,
    ),
    _cluster("5.10.4", "Enable Security Posture", "securityPostureConfig.mode"),
)


def table() -> str:
    """The page."""
    lines = [
        "# CIS Google Kubernetes Engine Benchmark 1.9.0",
        "",
        "The 33 items on managed services. Each property is taken away in `tests/unit/test_gcp_mutations.py`, where the",
        "check must miss it. Written by `python -m tests.unit.cis_gke`.",
        "",
        "| item | title | property | check |",
        "|---|---|---|---|",
    ]
    for row in ROWS:
        shown = "<br>".join(f"`{name}`" for name in row.properties) or f"n/a: {row.reason}"
        lines.append(f"| {row.id} | {row.title} | {shown} | {row.check.__name__ if row.properties else ''} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(table(), encoding="utf-8")
