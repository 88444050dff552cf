"""A GKE cluster with its network, keys, identities and nodes."""

from collections.abc import Sequence

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as k8s

from modelway._common import type_token
from modelway.cluster.capabilities import Capabilities
from modelway.cluster.gke import control_plane, keys, lookup, network, node_pools, nodes, services
from modelway.cluster.gke.arguments import GkeClusterArgs
from modelway.cluster.gke.kubeconfig import gke_kubeconfig
from modelway.cluster.gke.site import Site
from modelway.cluster.gke.validation import check, check_upgrade

SERVICES = ("cloudkms", "compute", "container", "iam", "logging", "monitoring")
IDENTITY_ENDPOINT = "169.254.169.254:80"
"""Where GKE's metadata server answers on each node."""


class GkeCluster(pulumi.ComponentResource):
    """A GKE cluster: private nodes, encrypted Secrets and disks, all logs, access by IAM only.

    The attribute `provider` is a Kubernetes provider for it; programs in other languages make one of `kubeconfig`.
    """

    name: pulumi.Output[str]
    """Name of the cluster, known once it runs."""
    kubeconfig: pulumi.Output[str]
    """Kubeconfig that asks the plugin of the gcloud CLI for tokens, a secret."""
    endpoint: pulumi.Output[str]
    """URL of the API server."""
    capabilities: pulumi.Output[Capabilities]
    """What the cluster offers."""
    network_id: pulumi.Output[str]
    """The network that the cluster lies in."""
    node_service_accounts: pulumi.Output[list[str]]
    """Service accounts of its nodes, for the registry that they pull from; known before the cluster is."""

    def __init__(self, name: str, args: GkeClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("GkeCluster"), name, {}, opts)
        check(name, args).refuse()
        cluster_name = args.get("name", name)
        site = Site(
            component=self,
            name=name,
            cluster=cluster_name,
            project=args["project"],
            region=args["region"],
            production=args["production"],
            labels={"modelway-cluster": cluster_name, **args.get("labels", {})},
        )
        if current := lookup.running_version(cluster_name, site.project, site.region, site.invoke()):
            check_upgrade(name, args, current).refuse()
        parts = _parts(site, args)
        cluster = control_plane.create(site, args, parts)
        pools = [node_pools.create(site, cluster, pool, parts, args["zones"]) for pool in args.get("node_pools", [])]
        host = _host(args, cluster)
        self.name = cluster.name
        self.endpoint = pulumi.Output.concat("https://", host)
        self.network_id = pulumi.Output.from_input(parts.network.network_id)
        self.node_service_accounts = pulumi.Output.all(parts.nodes.service_account)
        self.capabilities = pulumi.Output.from_input(_capabilities(args))
        self.kubeconfig = pulumi.Output.secret(_kubeconfig(site, args, cluster, host))
        kept = [*parts.services.values(), *parts.network.ways_out, *parts.nodes.grants, *pools]
        self.provider = _provider(site, self.kubeconfig, cluster, kept)
        self.register_outputs(
            {
                "name": self.name,
                "kubeconfig": self.kubeconfig,
                "endpoint": self.endpoint,
                "capabilities": self.capabilities,
                "networkId": self.network_id,
                "nodeServiceAccounts": self.node_service_accounts,
            }
        )


def _parts(site: Site, args: GkeClusterArgs) -> nodes.Parts:
    extra = ("binaryauthorization",) if args.get("binary_authorization", True) else ()
    enabled = services.enable(site, sorted((*SERVICES, *extra)))
    ring = keys.ring(site, enabled)
    secrets = keys.key(site, ring, "secrets", services.agent(site, enabled, "container"))
    disks = keys.key(site, ring, "disks", services.compute_agent(site), [enabled["compute"]])
    asked = args.get("network", {})
    place = network.existing(asked) if "network_id" in asked else network.create(site, asked, enabled)
    return nodes.Parts(place, secrets, nodes.identity(site, enabled, disks), enabled)


def _capabilities(args: GkeClusterArgs) -> Capabilities:
    return {
        "load_balancer": "gke",
        "volumes": "pd.csi.storage.gke.io",
        "gpu_pools": [pool["name"] for pool in args.get("node_pools", []) if node_pools.machine(pool).gpus],
        "identity": "gke-workload-identity",
        "identity_endpoint": IDENTITY_ENDPOINT,
    }


def _host(args: GkeClusterArgs, cluster: gcp.container.Cluster) -> pulumi.Output[str]:
    """Where the API answers: its name, its public address, or its private one."""
    access = control_plane.api_access(args)
    if access.get("dns", False):
        return cluster.control_plane_endpoints_config.apply(
            lambda endpoints: endpoints.dns_endpoint_config.endpoint or "" if endpoints.dns_endpoint_config else ""
        )
    if access.get("cidrs"):
        return cluster.private_cluster_config.apply(lambda config: config.public_endpoint or "")
    return cluster.private_cluster_config.apply(lambda config: config.private_endpoint or "")


def _kubeconfig(
    site: Site, args: GkeClusterArgs, cluster: gcp.container.Cluster, host: pulumi.Output[str]
) -> pulumi.Output[str]:
    if control_plane.api_access(args).get("dns", False):
        return host.apply(lambda name: gke_kubeconfig(site.cluster, name))
    authority = cluster.master_auth.apply(lambda auth: auth.cluster_ca_certificate)
    return pulumi.Output.all(host, authority).apply(
        lambda values: gke_kubeconfig(site.cluster, values[0], values[1] or "")
    )


def _provider(
    site: Site, kubeconfig: pulumi.Input[str], cluster: gcp.container.Cluster, kept: Sequence[pulumi.Resource]
) -> k8s.Provider:
    """Provider that comes after all that controllers in the cluster live on, and so goes before it.

    A controller that has lost its node, its way out or its rights cannot delete the load balancers and volumes that it
    made, and a destroy would stop at them.
    """
    return k8s.Provider(
        f"{site.name}-kubernetes",
        kubeconfig=kubeconfig,
        cluster_identifier=site.identifier,
        # A changed kubeconfig changes nothing inside; a cluster made anew has the same identifier and nothing in it.
        opts=pulumi.ResourceOptions(parent=site.component, depends_on=list(kept), replace_with=[cluster]),
    )
