"""Inputs of `GkeCluster`."""

from typing import NotRequired, TypedDict

DEFAULT_NODES_CIDR = "10.0.0.0/20"
DEFAULT_PODS_CIDR = "10.4.0.0/14"
DEFAULT_SERVICES_CIDR = "10.8.0.0/20"
DEFAULT_DISK_GB = 50
DEFAULT_CHANNEL = "REGULAR"
DEFAULT_MAINTENANCE_DAYS = ("SA", "SU")
DEFAULT_MAINTENANCE_HOUR = 1
DEFAULT_MAINTENANCE_HOURS = 8


class GkeApiAccessArgs(TypedDict):
    """How machines reach the cluster's API; exactly one of the three. Nodes use the private address either way."""

    dns: NotRequired[bool]
    """True: by a name that answers everywhere, and only to whom IAM lets in; the cluster has no public address."""
    vpc: NotRequired[bool]
    """True: only by a private address from the cluster's subnet, so whoever deploys runs there."""
    cidrs: NotRequired[list[str]]
    """Public addresses that reach a public address of the cluster, such as `203.0.113.7/32`. `0.0.0.0/0` is refused in
    production."""


class GkeNetworkArgs(TypedDict):
    """The network: a new one, or an existing one by `network_id`, `subnet_id`, `pods_range` and `services_range`."""

    nodes_cidr: NotRequired[str]
    """Addresses of nodes in a new network. Defaults to `10.0.0.0/20`."""
    pods_cidr: NotRequired[str]
    """Addresses of pods in a new network: each node takes a /24. Cannot be changed later. Defaults to `10.4.0.0/14`."""
    services_cidr: NotRequired[str]
    """Addresses of Kubernetes Services in a new network. Cannot be changed later. Defaults to `10.8.0.0/20`."""
    network_id: NotRequired[str]
    """An existing network, as `projects/PROJECT/global/networks/NAME`."""
    subnet_id: NotRequired[str]
    """Its subnet in the cluster's region, with a way to the internet, as
    `projects/PROJECT/regions/REGION/subnetworks/NAME`."""
    pods_range: NotRequired[str]
    """Name of the subnet's secondary range for pods."""
    services_range: NotRequired[str]
    """Name of the subnet's secondary range for Kubernetes Services."""


class GkeNodePoolArgs(TypedDict):
    """A node pool."""

    name: str
    """Name of the pool, unique in the cluster."""
    machine_type: str
    """Machine type, such as `n4-standard-4`; those with GPUs, such as `g2-standard-8`, bring them along."""
    min_size: int
    """Least number of nodes, over all zones."""
    max_size: int
    """Greatest number of nodes, over all zones."""
    spot: NotRequired[bool]
    """Spare capacity at a lower price, taken back at short notice. Defaults to False."""
    zones: NotRequired[list[str]]
    """Zones of its nodes, for machines that some zones lack. Defaults to the cluster's."""
    disk_gb: NotRequired[int]
    """Size of the encrypted disk that holds images and pods. Defaults to 50."""
    sandbox: NotRequired[bool]
    """True: pods that ask for the runtime class `gvisor` run in a sandbox, and no others come. Defaults to False."""
    labels: NotRequired[dict[str, str]]
    """Labels of its nodes."""
    taints: NotRequired[list[str]]
    """Taints of its nodes as `key=value:NoSchedule`; a pool with GPUs gets `nvidia.com/gpu=present:NoSchedule` from
    GKE."""


class MaintenanceWindowArgs(TypedDict):
    """When Google may upgrade control plane and nodes."""

    days: NotRequired[list[str]]
    """Days on which a window starts: `MO`, `TU`, `WE`, `TH`, `FR`, `SA`, `SU`. Defaults to `SA` and `SU`."""
    start_hour_utc: NotRequired[int]
    """Hour at which it starts, in UTC. Defaults to 1."""
    hours: NotRequired[int]
    """Its length in hours. Defaults to 8."""


class GkeClusterArgs(TypedDict):
    """Inputs of `GkeCluster`."""

    project: str
    """ID of the project. Whoever deploys administers clusters in it (`roles/container.admin`), and so this one."""
    region: str
    """Region of the cluster, whose control plane spans its zones."""
    kubernetes_version: str
    """Least minor version of the control plane, such as `1.35`. One step up at a time; nodes follow in the maintenance
    window."""
    production: bool
    """Protects cluster and keys from deletion and refuses what production must not have."""
    zones: NotRequired[list[str]]
    """Two or three zones of its nodes; none with `autopilot`."""
    api_access: NotRequired[GkeApiAccessArgs]
    """How machines reach the cluster's API. Needed in production; elsewhere `{dns: true}` by default."""
    network: NotRequired[GkeNetworkArgs]
    """The network. Defaults to a new one."""
    name: NotRequired[str]
    """Name of the cluster in Google Cloud. Defaults to the component's."""
    node_pools: NotRequired[list[GkeNodePoolArgs]]
    """Node pools; at least one without `autopilot`, none with it."""
    autopilot: NotRequired[bool]
    """GKE Autopilot: Google makes and upgrades the nodes and bills by what pods ask for. Defaults to False."""
    release_channel: NotRequired[str]
    """`RAPID`, `REGULAR`, `STABLE` or `EXTENDED`: how soon a version comes, and how long it stays. Defaults to
    `REGULAR`."""
    maintenance_window: NotRequired[MaintenanceWindowArgs]
    """When Google may upgrade. Defaults to eight hours from 01:00 UTC on Saturdays and Sundays."""
    binary_authorization: NotRequired[bool]
    """Admits only images that the project's Binary Authorization policy admits. Defaults to True; a project without a
    policy of its own admits all."""
    security_group: NotRequired[str]
    """Google group whose member groups may be named in RBAC, as `gke-security-groups@DOMAIN`. Defaults to none."""
    labels: NotRequired[dict[str, str]]
    """Labels of every resource that has labels."""
