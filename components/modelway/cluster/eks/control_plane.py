"""The control plane: cluster, its log group, its role, and who may administer it."""

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from modelway.cluster.eks import iam
from modelway.cluster.eks.arguments import DEFAULT_SERVICE_CIDR, EksClusterArgs
from modelway.cluster.eks.network import Network
from modelway.cluster.eks.roles import Role, make_role
from modelway.cluster.eks.site import Site

LOG_TYPES = ("api", "audit", "authenticator", "controllerManager", "scheduler")
AUTO_MODE_POLICIES = (
    *("AmazonEKSComputePolicy", "AmazonEKSBlockStoragePolicy"),
    *("AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy"),
)
AUTO_MODE_POOLS = ("general-purpose", "system")
ADMIN_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


def log_group(site: Site) -> str:
    """Name under which EKS writes the control plane's logs."""
    return f"/aws/eks/{site.cluster}/cluster"


def create(
    site: Site,
    args: EksClusterArgs,
    network: Network,
    keys: tuple[aws.kms.Key, aws.kms.Key],
    retention_days: int,
    auto_node_role: Role | None,
) -> aws.eks.Cluster:
    """The cluster; `keys` are those of Secrets and of logs, `auto_node_role` is given in Auto Mode."""
    secrets_key, logs_key = keys
    # EKS would make the group itself, unencrypted and kept for ever.
    logs = aws.cloudwatch.LogGroup(
        f"{site.name}-logs",
        name=log_group(site),
        retention_in_days=retention_days,
        kms_key_id=logs_key.arn,
        tags=site.tags("logs"),
        opts=site.child(),
    )
    role = _role(site, secrets_key, auto_node_role is not None)
    return aws.eks.Cluster(
        f"{site.name}-control-plane",
        name=site.cluster,
        role_arn=role.arn,
        version=args["kubernetes_version"],
        vpc_config=_vpc_config(args, network),
        access_config=aws.eks.ClusterAccessConfigArgs(
            authentication_mode="API", bootstrap_cluster_creator_admin_permissions=False
        ),
        # The add-ons below take their place, with versions and identities of their own.
        bootstrap_self_managed_addons=False,
        deletion_protection=site.production,
        enabled_cluster_log_types=list(LOG_TYPES),
        encryption_config=aws.eks.ClusterEncryptionConfigArgs(
            provider=aws.eks.ClusterEncryptionConfigProviderArgs(key_arn=secrets_key.arn), resources=["secrets"]
        ),
        upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(
            support_type="EXTENDED" if args.get("extended_support", False) else "STANDARD"
        ),
        kubernetes_network_config=_network_config(args, auto_node_role),
        compute_config=_compute_config(auto_node_role),
        storage_config=_storage_config(auto_node_role),
        tags=site.tags("cluster"),
        opts=site.child(depends_on=[logs, *role.grants, *_grants(auto_node_role)], protect=True),
    )


def _role(site: Site, secrets_key: aws.kms.Key, auto_mode: bool) -> Role:
    return make_role(
        site,
        "control-plane",
        iam.service_trust("eks.amazonaws.com", ("sts:AssumeRole", "sts:TagSession")),
        ("AmazonEKSClusterPolicy", *(AUTO_MODE_POLICIES if auto_mode else ())),
        pulumi.Output.json_dumps(secrets_key.arn.apply(iam.secrets_key_use)),
    )


def _grants(role: Role | None) -> Sequence[pulumi.Resource]:
    return role.grants if role else []


def _vpc_config(args: EksClusterArgs, network: Network) -> aws.eks.ClusterVpcConfigArgs:
    public = args["api_access"].get("cidrs") or []
    return aws.eks.ClusterVpcConfigArgs(
        subnet_ids=network.private_subnet_ids,
        endpoint_private_access=True,
        endpoint_public_access=bool(public),
        # Without a list AWS lets everyone in.
        public_access_cidrs=list(public) or None,
    )


def _network_config(args: EksClusterArgs, auto: Role | None) -> aws.eks.ClusterKubernetesNetworkConfigArgs:
    balancing = aws.eks.ClusterKubernetesNetworkConfigElasticLoadBalancingArgs(enabled=True) if auto else None
    return aws.eks.ClusterKubernetesNetworkConfigArgs(
        service_ipv4_cidr=args["network"].get("service_cidr", DEFAULT_SERVICE_CIDR),
        elastic_load_balancing=balancing,
    )


def _compute_config(auto: Role | None) -> aws.eks.ClusterComputeConfigArgs | None:
    if auto is None:
        return None
    return aws.eks.ClusterComputeConfigArgs(enabled=True, node_pools=list(AUTO_MODE_POOLS), node_role_arn=auto.arn)


def _storage_config(auto: Role | None) -> aws.eks.ClusterStorageConfigArgs | None:
    if auto is None:
        return None
    return aws.eks.ClusterStorageConfigArgs(block_storage=aws.eks.ClusterStorageConfigBlockStorageArgs(enabled=True))


def administrator(site: Site, cluster: aws.eks.Cluster, role_arn: str) -> pulumi.Resource:
    """Lets the deploying role in, and nobody else; the first Kubernetes object waits for it."""
    entry = aws.eks.AccessEntry(
        f"{site.name}-deployer",
        cluster_name=cluster.name,
        principal_arn=role_arn,
        type="STANDARD",
        tags=site.tags(),
        opts=site.child(deleted_with=cluster),
    )
    return aws.eks.AccessPolicyAssociation(
        f"{site.name}-deployer-admin",
        cluster_name=cluster.name,
        principal_arn=entry.principal_arn,
        policy_arn=ADMIN_POLICY,
        access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
        opts=site.child(depends_on=[entry], deleted_with=cluster),
    )
