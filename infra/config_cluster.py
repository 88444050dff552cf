"""`modelway:cluster` as types: where the models run, per provider."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from infra.config_section import Section


class Provider(StrEnum):
    """Where the models run."""

    NODE = "node"
    KIND = "kind"
    EXISTING = "existing"
    EKS = "eks"
    GKE = "gke"

    @property
    def is_cloud(self) -> bool:
        """Whether the stack makes its cluster in a cloud."""
        return self in (Provider.EKS, Provider.GKE)

    @property
    def is_local(self) -> bool:
        """Whether the cluster is on this machine, with ports of this machine."""
        return self in (Provider.NODE, Provider.KIND)


class ClusterSettings(Section):
    """What every provider has, and what `existing` has."""

    provider: Annotated[Provider, Field(strict=False)]
    kubeconfig: str | None = None
    """Path of the kubeconfig of an existing cluster."""
    context: str | None = None
    identifier: str | None = None
    eks: str | None = None
    """Name of an existing EKS cluster, in `region`."""
    gke: str | None = None
    """Name of an existing GKE cluster, in `project` and `region`."""
    region: str | None = None
    project: str | None = None


class AccessSettings(Section):
    """How machines reach the cluster's API; exactly one is set."""

    dns: bool | None = None
    """GKE: by a name behind IAM."""
    vpc: bool | None = None
    """From inside the network only."""
    cidrs: list[str] | None = None
    """From these public addresses."""


class EksAccessSettings(Section):
    """How machines reach the cluster's API; exactly one is set."""

    vpc: bool | None = None
    """From inside the network only."""
    cidrs: list[str] | None = None
    """From these public addresses."""


class EksNetworkSettings(Section):
    """A new VPC over `zones`, or an existing one; `modelway.EksNetworkArgs` says what each means."""

    zones: list[str] | None = None
    cidr: str | None = None
    nat: str | None = None
    interface_endpoints: list[str] | None = None
    vpc_id: str | None = None
    private_subnet_ids: list[str] | None = None
    service_cidr: str | None = None


class EksNodePoolSettings(Section):
    """A managed node group; `modelway.EksNodePoolArgs` says what each means."""

    name: str
    instance_types: list[str]
    min_size: int
    max_size: int
    spot: bool | None = None
    os: str | None = None
    disk_gb: int | None = None
    labels: dict[str, str] | None = None
    taints: list[str] | None = None


class EksSettings(Section):
    """A cluster on EKS that the stack makes; `modelway.EksClusterArgs` says what each means."""

    provider: Annotated[Provider, Field(strict=False)]
    name: str | None = None
    region: str
    deployer_role_arn: str
    kubernetes_version: str
    extended_support: bool | None = None
    access: EksAccessSettings
    network: EksNetworkSettings
    node_pools: list[EksNodePoolSettings] | None = None
    auto_mode: bool | None = None
    karpenter: bool | None = None
    addon_versions: dict[str, str] | None = None
    log_retention_days: int | None = None
    dns_zone_ids: list[str] | None = None
    tags: dict[str, str] | None = None


class GkeNetworkSettings(Section):
    """A new network, or an existing one; `modelway.GkeNetworkArgs` says what each means."""

    nodes_cidr: str | None = None
    pods_cidr: str | None = None
    services_cidr: str | None = None
    network_id: str | None = None
    subnet_id: str | None = None
    pods_range: str | None = None
    services_range: str | None = None


class GkeNodePoolSettings(Section):
    """A node pool; `modelway.GkeNodePoolArgs` says what each means."""

    name: str
    machine_type: str
    min_size: int
    max_size: int
    spot: bool | None = None
    zones: list[str] | None = None
    disk_gb: int | None = None
    sandbox: bool | None = None
    labels: dict[str, str] | None = None
    taints: list[str] | None = None


class MaintenanceSettings(Section):
    """When Google may upgrade; `modelway.MaintenanceWindowArgs` says what each means."""

    days: list[str] | None = None
    start_hour_utc: int | None = None
    hours: int | None = None


class GkeSettings(Section):
    """A cluster on GKE that the stack makes; `modelway.GkeClusterArgs` says what each means."""

    provider: Annotated[Provider, Field(strict=False)]
    name: str | None = None
    project: str
    region: str
    kubernetes_version: str
    zones: list[str] | None = None
    access: AccessSettings | None = None
    """Needed in production."""
    network: GkeNetworkSettings | None = None
    node_pools: list[GkeNodePoolSettings] | None = None
    autopilot: bool | None = None
    release_channel: str | None = None
    maintenance_window: MaintenanceSettings | None = None
    binary_authorization: bool | None = None
    security_group: str | None = None
    labels: dict[str, str] | None = None


CLOUDS = ("eks", "gke")


def _tag(value: Any) -> str:
    named = value.get("provider") if isinstance(value, dict) else getattr(value, "provider", None)
    return f"[{named}]" if named in CLOUDS else "[other]"


AnyCluster = Annotated[
    Annotated[ClusterSettings, Tag("[other]")]
    | Annotated[EksSettings, Tag("[eks]")]
    | Annotated[GkeSettings, Tag("[gke]")],
    Discriminator(_tag),
]
"""What the provider has, and nothing of another."""
