"""Inputs of `EksCluster`."""

from typing import NotRequired, TypedDict

DEFAULT_CIDR = "10.0.0.0/16"
DEFAULT_SERVICE_CIDR = "172.20.0.0/16"
DEFAULT_ENDPOINTS = ("ecr.api", "ecr.dkr", "sts")
DEFAULT_DISK_GB = 50
DEFAULT_LOG_RETENTION_DAYS = 365


class EksApiAccessArgs(TypedDict):
    """How machines reach the cluster's API; exactly one of the two. Nodes use the private address either way."""

    vpc: NotRequired[bool]
    """True: only from inside the VPC, so whoever deploys runs there."""
    cidrs: NotRequired[list[str]]
    """Public addresses that also reach it, such as `203.0.113.7/32`. `0.0.0.0/0` is refused in production."""


class EksNetworkArgs(TypedDict):
    """The VPC: a new one over `zones`, or an existing one by `vpc_id` and `private_subnet_ids`."""

    zones: NotRequired[list[str]]
    """Two or three availability zones of the region, for a new VPC."""
    cidr: NotRequired[str]
    """Addresses of the new VPC, from /16 to /20: three quarters become private subnets, a sixteenth per zone public
    ones. Defaults to `10.0.0.0/16`."""
    nat: NotRequired[str]
    """NAT gateways of the new VPC: `per-zone`, or `one`, which costs less and takes every zone's way out with it when
    its zone fails. Defaults to `per-zone` in production, else to `one`."""
    interface_endpoints: NotRequired[list[str]]
    """AWS services reached without NAT, each priced per zone and hour. Defaults to `ecr.api`, `ecr.dkr` and `sts`.
    S3 always has an endpoint: it is free."""
    vpc_id: NotRequired[str]
    """An existing VPC."""
    private_subnet_ids: NotRequired[list[str]]
    """Its private subnets, in at least two zones, with a way to the internet or to all of AWS's endpoints."""
    service_cidr: NotRequired[str]
    """Addresses of Kubernetes Services. Cannot be changed later. Defaults to `172.20.0.0/16`."""


class EksNodePoolArgs(TypedDict):
    """A managed node group."""

    name: str
    """Name of the pool, unique in the cluster."""
    instance_types: list[str]
    """EC2 types of one architecture, such as `m7i.large`. Several give spot more to choose from."""
    min_size: int
    """Least number of nodes; the pool starts with it."""
    max_size: int
    """Greatest number of nodes. Karpenter adds nodes of its own beside the pools and leaves their size alone."""
    spot: NotRequired[bool]
    """Spare capacity at a lower price, taken back at two minutes' notice. Defaults to False."""
    os: NotRequired[str]
    """`al2023` or `bottlerocket`. Defaults to `al2023`."""
    disk_gb: NotRequired[int]
    """Size of the encrypted disk that holds images and pods. Defaults to 50."""
    labels: NotRequired[dict[str, str]]
    """Labels of its nodes."""
    taints: NotRequired[list[str]]
    """Taints of its nodes as `key=value:NoSchedule`; a pool with GPUs gets `nvidia.com/gpu=true:NoSchedule` as well."""


class EksClusterArgs(TypedDict):
    """Inputs of `EksCluster`."""

    region: str
    """Region of the AWS provider that makes the cluster."""
    deployer_role_arn: str
    """IAM role that deploys: administrator of the cluster from its first moment, in whose account the cluster lies."""
    kubernetes_version: str
    """Minor version, such as `1.35`. One step up at a time."""
    extended_support: NotRequired[bool]
    """Stays on a version past its standard support, at extra price; otherwise AWS upgrades the control plane by itself
    then. Defaults to False."""
    production: bool
    """Protects cluster and keys from deletion and refuses what production must not have."""
    api_access: EksApiAccessArgs
    """How machines reach the cluster's API."""
    network: EksNetworkArgs
    """The VPC."""
    name: NotRequired[str]
    """Name of the cluster in AWS. Defaults to the component's."""
    node_pools: NotRequired[list[EksNodePoolArgs]]
    """Managed node groups; at least one without `auto_mode`, none with it."""
    auto_mode: NotRequired[bool]
    """EKS Auto Mode: AWS makes and upgrades the nodes, the network plugin, the volume driver and the load balancers.
    Defaults to False."""
    karpenter: NotRequired[bool]
    """What Karpenter needs in AWS: identity, node role, queue of interruptions. Defaults to True where
    `auto_mode` is False."""
    addon_versions: NotRequired[dict[str, str]]
    """Versions of EKS add-ons by name. Defaults to what EKS recommends for the Kubernetes version at preview."""
    log_retention_days: NotRequired[int]
    """Days that the control plane's and the network's logs are kept. Defaults to 365."""
    dns_zone_ids: NotRequired[list[str]]
    """Route 53 zones in which cert-manager and external-dns may write; without, neither gets an identity."""
    tags: NotRequired[dict[str, str]]
    """Tags of every AWS resource."""
