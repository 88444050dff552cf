"""An EKS cluster with its network, keys, nodes and add-ons."""

import json
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

from modelway._aws import account_of
from modelway._common import as_int, type_token
from modelway.cluster.capabilities import Capabilities
from modelway.cluster.eks import (
    addons,
    control_plane,
    iam,
    iam_load_balancer,
    karpenter,
    keys,
    lookup,
    network,
    node_pools,
    roles,
)
from modelway.cluster.eks.arguments import DEFAULT_LOG_RETENTION_DAYS, EksClusterArgs
from modelway.cluster.eks.kubeconfig import eks_kubeconfig
from modelway.cluster.eks.site import Site
from modelway.cluster.eks.validation import check, check_upgrade

LOAD_BALANCER_CONTROLLER = ("kube-system", "aws-load-balancer-controller")
CERT_MANAGER = ("cert-manager", "cert-manager")
EXTERNAL_DNS = ("external-dns", "external-dns")
AUTO_NODE_POLICIES = ("AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly")
IDENTITY_ENDPOINT = "169.254.170.23:80"
"""Where the Pod Identity agent answers on each node."""


class EksCluster(pulumi.ComponentResource):
    """An EKS cluster: private nodes, encrypted Secrets, all logs, access by IAM only.

    The attribute `provider` is a Kubernetes provider for it; programs in other languages make one of `kubeconfig`.
    The attribute `karpenter` names what Karpenter's chart is told, or is None.
    """

    name: pulumi.Output[str]
    """Name of the cluster, known once it runs."""
    kubeconfig: pulumi.Output[str]
    """Kubeconfig that asks the AWS CLI for tokens, a secret."""
    endpoint: pulumi.Output[str]
    """URL of the API server."""
    capabilities: pulumi.Output[Capabilities]
    """What the cluster offers."""
    vpc_id: pulumi.Output[str]
    """The VPC that the cluster lies in."""
    node_role_arns: pulumi.Output[list[str]]
    """Roles of its nodes, for the registry that they pull from; known before the cluster is."""

    def __init__(self, name: str, args: EksClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("EksCluster"), name, {}, opts)
        check(name, args).refuse()
        site = Site(
            component=self,
            name=name,
            cluster=args.get("name", name),
            region=args["region"],
            account=account_of(args["deployer_role_arn"]) or "",
            production=args["production"],
            common_tags=args.get("tags", {}),
        )
        if current := lookup.running_version(site.cluster, site.region, site.invoke()):
            check_upgrade(name, args, current).refuse()
        auto_mode = args.get("auto_mode", False)
        node_role = (
            roles.node_role(site, "auto-node", AUTO_NODE_POLICIES)
            if auto_mode
            else roles.node_role(site, "node", node_pools.NODE_POLICIES)
        )
        place, cluster = _control_plane(site, args, node_role if auto_mode else None)
        access = control_plane.administrator(site, cluster, args["deployer_role_arn"])
        self.karpenter = karpenter.create(site, cluster) if args.get("karpenter", not auto_mode) else None
        nodes = _nodes(site, args, cluster, place, node_role)
        identities = roles.controllers(site, cluster, _documents(site, args, auto_mode))
        kept = [access, *nodes, *identities, *(self.karpenter.ready if self.karpenter else [])]
        node_roles = [node_role, *([self.karpenter.role] if self.karpenter else [])]
        self.name = cluster.name
        self.endpoint = cluster.endpoint
        self.vpc_id = pulumi.Output.from_input(place.vpc_id)
        self.node_role_arns = pulumi.Output.all(*(role.arn for role in node_roles))
        self.capabilities = pulumi.Output.from_input(_capabilities(args, auto_mode))
        self.kubeconfig = pulumi.Output.secret(_kubeconfig(site, cluster))
        self.provider = _provider(site, self.kubeconfig, cluster, kept)
        self.register_outputs(
            {
                "name": self.name,
                "kubeconfig": self.kubeconfig,
                "endpoint": self.endpoint,
                "capabilities": self.capabilities,
                "vpcId": self.vpc_id,
                "nodeRoleArns": self.node_role_arns,
            }
        )


def _control_plane(
    site: Site, args: EksClusterArgs, auto_node_role: roles.Role | None
) -> tuple[network.Network, aws.eks.Cluster]:
    retention = as_int(args.get("log_retention_days"), DEFAULT_LOG_RETENTION_DAYS)
    own_network = "vpc_id" not in args["network"]
    groups = [control_plane.log_group(site), *([network.flow_log_group(site)] if own_network else [])]
    logs_key = keys.logs_key(site, groups)
    place = (
        network.create(site, args["network"], logs_key, retention) if own_network else network.existing(args["network"])
    )
    both = (keys.secrets_key(site), logs_key)
    return place, control_plane.create(site, args, place, both, retention, auto_node_role)


def _nodes(
    site: Site, args: EksClusterArgs, cluster: aws.eks.Cluster, place: network.Network, role: roles.Role
) -> list[pulumi.Resource]:
    auto_mode = args.get("auto_mode", False)
    version, pinned = args["kubernetes_version"], args.get("addon_versions", {})
    own = addons.Addons(site, cluster, version, pinned, auto_mode)
    before = own.before_nodes()
    pools = [
        node_pools.create(site, cluster, pool, role, place.private_subnet_ids, [*place.ways_out, *before])
        for pool in args.get("node_pools", [])
    ]
    return [*place.ways_out, *before, *pools, *own.with_nodes(pools)]


def _documents(
    site: Site, args: EksClusterArgs, auto_mode: bool
) -> dict[str, tuple[tuple[str, str], pulumi.Input[str]]]:
    documents: dict[str, tuple[tuple[str, str], iam.Document]] = {}
    if not auto_mode:
        policy = iam_load_balancer.controller(site.cluster, site.region, site.account)
        documents["load-balancer"] = (LOAD_BALANCER_CONTROLLER, policy)
    if zones := args.get("dns_zone_ids", []):
        documents["cert-manager"] = (CERT_MANAGER, iam.dns_challenges(zones))
        documents["external-dns"] = (EXTERNAL_DNS, iam.dns_records(zones))
    return {role: (subject, json.dumps(policy)) for role, (subject, policy) in documents.items()}


def _capabilities(args: EksClusterArgs, auto_mode: bool) -> Capabilities:
    return {
        "load_balancer": "eks-auto-mode" if auto_mode else "aws-load-balancer-controller",
        "volumes": "ebs.csi.eks.amazonaws.com" if auto_mode else "ebs.csi.aws.com",
        "gpu_pools": [pool["name"] for pool in args.get("node_pools", []) if node_pools.family(pool).gpu],
        "identity": "eks-pod-identity",
        "identity_endpoint": IDENTITY_ENDPOINT,
    }


def _kubeconfig(site: Site, cluster: aws.eks.Cluster) -> pulumi.Output[str]:
    authority = cluster.certificate_authority.apply(lambda value: value.data)
    return pulumi.Output.all(cluster.endpoint, authority).apply(
        lambda values: eks_kubeconfig(site.cluster, site.region, values[0], values[1] or "")
    )


def _provider(
    site: Site, kubeconfig: pulumi.Input[str], cluster: aws.eks.Cluster, kept: Sequence[pulumi.Resource]
) -> k8s.Provider:
    """Provider that comes after all that controllers in the cluster live on, and so goes before it.

    A controller that has lost its node, its way out or its identity cannot delete the load balancers and volumes that
    it made, and a destroy would stop at them.
    """
    return k8s.Provider(
        f"{site.name}-kubernetes",
        kubeconfig=kubeconfig,
        cluster_identifier=site.cluster_arn,
        # A changed kubeconfig changes nothing inside; a cluster made anew has the same identifier and nothing in it.
        opts=pulumi.ResourceOptions(parent=site.component, depends_on=list(kept), replace_with=[cluster]),
    )
