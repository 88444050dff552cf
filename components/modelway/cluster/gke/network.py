"""The network of a cluster: a new one with ranges for pods and Services, or an existing one."""

from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from modelway.cluster.gke.arguments import (
    DEFAULT_NODES_CIDR,
    DEFAULT_PODS_CIDR,
    DEFAULT_SERVICES_CIDR,
    GkeNetworkArgs,
)
from modelway.cluster.gke.services import Services
from modelway.cluster.gke.site import Site

PODS, SERVICES = "pods", "services"
LOWEST_PRIORITY = 65534
"""Just above the rule that each network has by itself, and below those that GKE makes for its load balancers."""


@dataclass(frozen=True)
class Network:
    """Where the cluster lies."""

    network_id: pulumi.Input[str]
    subnet_id: pulumi.Input[str]
    pods_range: str
    services_range: str
    ways_out: list[pulumi.Resource]
    """What nodes need to reach registries, also while they shut down."""


def existing(args: GkeNetworkArgs) -> Network:
    """A network that someone else looks after."""
    return Network(args["network_id"], args["subnet_id"], args["pods_range"], args["services_range"], [])


def create(site: Site, args: GkeNetworkArgs, services: Services) -> Network:
    """A network of its own: no public addresses, one way out, and every refused packet logged."""
    network = gcp.compute.Network(
        f"{site.name}-network",
        project=site.project,
        # Subnets in every region, and rules that let the internet in by SSH, come with the other mode.
        auto_create_subnetworks=False,
        routing_mode="REGIONAL",
        opts=site.child(depends_on=[services["compute"]]),
    )
    subnet = gcp.compute.Subnetwork(
        f"{site.name}-subnet",
        project=site.project,
        region=site.region,
        network=network.id,
        ip_cidr_range=args.get("nodes_cidr", DEFAULT_NODES_CIDR),
        secondary_ip_ranges=[
            gcp.compute.SubnetworkSecondaryIpRangeArgs(range_name=name, ip_cidr_range=cidr)
            for name, cidr in (
                (PODS, args.get("pods_cidr", DEFAULT_PODS_CIDR)),
                (SERVICES, args.get("services_cidr", DEFAULT_SERVICES_CIDR)),
            )
        ],
        # Google's own services are reached without NAT.
        private_ip_google_access=True,
        log_config=gcp.compute.SubnetworkLogConfigArgs(
            aggregation_interval="INTERVAL_5_MIN", flow_sampling=0.5, metadata="INCLUDE_ALL_METADATA"
        ),
        opts=site.child(),
    )
    _refuse_and_log(site, network)
    return Network(network.id, subnet.id, PODS, SERVICES, [_nat(site, network, subnet)])


def _refuse_and_log(site: Site, network: gcp.compute.Network) -> None:
    gcp.compute.Firewall(
        f"{site.name}-deny-ingress",
        project=site.project,
        network=network.id,
        direction="INGRESS",
        priority=LOWEST_PRIORITY,
        source_ranges=["0.0.0.0/0"],
        denies=[gcp.compute.FirewallDenyArgs(protocol="all")],
        log_config=gcp.compute.FirewallLogConfigArgs(metadata="INCLUDE_ALL_METADATA"),
        opts=site.child(),
    )


def _nat(site: Site, network: gcp.compute.Network, subnet: gcp.compute.Subnetwork) -> gcp.compute.RouterNat:
    router = gcp.compute.Router(
        f"{site.name}-router", project=site.project, region=site.region, network=network.id, opts=site.child()
    )
    return gcp.compute.RouterNat(
        f"{site.name}-nat",
        project=site.project,
        region=site.region,
        router=router.name,
        nat_ip_allocate_option="AUTO_ONLY",
        source_subnetwork_ip_ranges_to_nat="LIST_OF_SUBNETWORKS",
        subnetworks=[gcp.compute.RouterNatSubnetworkArgs(name=subnet.id, source_ip_ranges_to_nats=["ALL_IP_RANGES"])],
        # A node with many pods needs more ports than a fixed share.
        enable_dynamic_port_allocation=True,
        enable_endpoint_independent_mapping=False,
        log_config=gcp.compute.RouterNatLogConfigArgs(enable=True, filter="ERRORS_ONLY"),
        opts=site.child(),
    )
