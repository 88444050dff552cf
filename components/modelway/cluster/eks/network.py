"""The VPC of a cluster: a new one over two or three zones, or an existing one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from modelway.cluster.eks import cidrs, iam
from modelway.cluster.eks.arguments import DEFAULT_CIDR, DEFAULT_ENDPOINTS, EksNetworkArgs
from modelway.cluster.eks.site import Site


@dataclass(frozen=True)
class Network:
    """Where the cluster lies."""

    vpc_id: pulumi.Input[str]
    private_subnet_ids: list[pulumi.Input[str]]
    ways_out: list[pulumi.Resource]
    """What nodes need to reach AWS and registries, also while they shut down."""


@dataclass(frozen=True)
class _Vpc:
    site: Site
    id: pulumi.Output[str]
    cidr: str

    def subnet(self, zone: str, role: str, cidr: str, **tags: str) -> aws.ec2.Subnet:
        return aws.ec2.Subnet(
            f"{self.site.name}-{role}-{zone[-1]}",
            vpc_id=self.id,
            availability_zone=zone,
            cidr_block=cidr,
            # Load balancers and NAT bring their own addresses; nothing else may stand here with one.
            map_public_ip_on_launch=False,
            tags=self.site.tags(f"{role}-{zone}", **tags),
            opts=self.site.child(),
        )

    def route_table(self, role: str) -> aws.ec2.RouteTable:
        return aws.ec2.RouteTable(
            f"{self.site.name}-{role}-routes", vpc_id=self.id, tags=self.site.tags(role), opts=self.site.child()
        )

    def associate(self, role: str, subnet: aws.ec2.Subnet, table: aws.ec2.RouteTable) -> pulumi.Resource:
        return aws.ec2.RouteTableAssociation(
            f"{self.site.name}-{role}-routes",
            subnet_id=subnet.id,
            route_table_id=table.id,
            opts=self.site.child(),
        )


def flow_log_group(site: Site) -> str:
    """Name of the network's log group."""
    return f"/modelway/{site.cluster}/flow-logs"


def existing(args: EksNetworkArgs) -> Network:
    """A VPC that someone else looks after."""
    return Network(args["vpc_id"], list(args["private_subnet_ids"]), [])


def create(site: Site, args: EksNetworkArgs, logs_key: aws.kms.Key, retention_days: int) -> Network:
    """A VPC of its own."""
    cidr = args.get("cidr", DEFAULT_CIDR)
    vpc = aws.ec2.Vpc(
        f"{site.name}-vpc",
        cidr_block=cidr,
        enable_dns_support=True,
        enable_dns_hostnames=True,
        tags=site.tags("vpc"),
        opts=site.child(),
    )
    own = _Vpc(site, vpc.id, cidr)
    # The group that AWS makes with each VPC lets its members talk; adopted without rules it lets nothing through.
    aws.ec2.DefaultSecurityGroup(
        f"{site.name}-default-security-group", vpc_id=vpc.id, tags=site.tags("default"), opts=site.child()
    )
    _flow_log(own, logs_key, retention_days)
    zones = cidrs.plan(cidr, args["zones"])
    public_routes, public = _public(own, zones)
    nat = args.get("nat", "per-zone" if site.production else "one")
    gateways = [_nat(own, zone, public[zone], public_routes) for zone in (args["zones"] if nat == "per-zone" else [])]
    if nat == "one":
        gateways = [_nat(own, args["zones"][0], public[args["zones"][0]], public_routes)] * len(zones)
    subnets, tables, ways_out = _private(own, zones, gateways)
    endpoints = _endpoints(own, args.get("interface_endpoints", list(DEFAULT_ENDPOINTS)), subnets, tables)
    return Network(vpc.id, [subnet.id for subnet in subnets], [*ways_out, *endpoints])


def _flow_log(vpc: _Vpc, logs_key: aws.kms.Key, retention_days: int) -> None:
    site = vpc.site
    group = aws.cloudwatch.LogGroup(
        f"{site.name}-flow-logs",
        name=flow_log_group(site),
        retention_in_days=retention_days,
        kms_key_id=logs_key.arn,
        tags=site.tags("flow-logs"),
        opts=site.child(),
    )
    role = aws.iam.Role(
        f"{site.name}-flow-logs-role",
        assume_role_policy=json.dumps(iam.service_trust("vpc-flow-logs.amazonaws.com", account=site.account)),
        tags=site.tags(),
        opts=site.child(),
    )
    policy = aws.iam.RolePolicy(
        f"{site.name}-flow-logs-policy",
        role=role.name,
        policy=pulumi.Output.json_dumps(group.arn.apply(iam.flow_logs_delivery)),
        opts=site.child(),
    )
    aws.ec2.FlowLog(
        f"{site.name}-flow-log",
        vpc_id=vpc.id,
        log_destination=group.arn,
        iam_role_arn=role.arn,
        # What was let through shows in the logs of what answered it; a log of all traffic is priced by its volume.
        traffic_type="REJECT",
        tags=site.tags("flow-log"),
        opts=site.child(depends_on=[policy]),
    )


def _public(vpc: _Vpc, zones: list[cidrs.ZoneSubnets]) -> tuple[aws.ec2.Route, dict[str, aws.ec2.Subnet]]:
    site = vpc.site
    gateway = aws.ec2.InternetGateway(
        f"{site.name}-internet-gateway", vpc_id=vpc.id, tags=site.tags("internet"), opts=site.child()
    )
    table = vpc.route_table("public")
    route = aws.ec2.Route(
        f"{site.name}-public-route",
        route_table_id=table.id,
        destination_cidr_block="0.0.0.0/0",
        gateway_id=gateway.id,
        opts=site.child(),
    )
    subnets = {}
    for zone, _, cidr in zones:
        subnets[zone] = vpc.subnet(zone, "public", cidr, **{"kubernetes.io/role/elb": "1"})
        vpc.associate(f"public-{zone[-1]}", subnets[zone], table)
    return route, subnets


def _nat(vpc: _Vpc, zone: str, subnet: aws.ec2.Subnet, public_route: aws.ec2.Route) -> aws.ec2.NatGateway:
    site, letter = vpc.site, zone[-1]
    address = aws.ec2.Eip(
        f"{site.name}-nat-address-{letter}", domain="vpc", tags=site.tags(f"nat-{zone}"), opts=site.child()
    )
    return aws.ec2.NatGateway(
        f"{site.name}-nat-{letter}",
        allocation_id=address.id,
        subnet_id=subnet.id,
        tags=site.tags(f"nat-{zone}"),
        opts=site.child(depends_on=[public_route]),
    )


def _private(
    vpc: _Vpc, zones: list[cidrs.ZoneSubnets], gateways: list[aws.ec2.NatGateway]
) -> tuple[list[aws.ec2.Subnet], list[aws.ec2.RouteTable], list[pulumi.Resource]]:
    site = vpc.site
    roles = {"kubernetes.io/role/internal-elb": "1", "karpenter.sh/discovery": site.cluster}
    subnets, tables = [], []
    ways_out: list[pulumi.Resource] = []
    for (zone, cidr, _), gateway in zip(zones, gateways, strict=True):
        role = f"private-{zone[-1]}"
        subnets.append(vpc.subnet(zone, "private", cidr, **roles))
        tables.append(vpc.route_table(role))
        route = aws.ec2.Route(
            f"{site.name}-{role}-route",
            route_table_id=tables[-1].id,
            destination_cidr_block="0.0.0.0/0",
            nat_gateway_id=gateway.id,
            opts=site.child(),
        )
        ways_out += [route, vpc.associate(f"{role}-subnet", subnets[-1], tables[-1])]
    return subnets, tables, ways_out


def _endpoints(
    vpc: _Vpc, services: Sequence[str], subnets: list[aws.ec2.Subnet], tables: list[aws.ec2.RouteTable]
) -> list[pulumi.Resource]:
    site = vpc.site
    s3 = aws.ec2.VpcEndpoint(
        f"{site.name}-endpoint-s3",
        vpc_id=vpc.id,
        service_name=f"com.amazonaws.{site.region}.s3",
        vpc_endpoint_type="Gateway",
        route_table_ids=[table.id for table in tables],
        tags=site.tags("s3"),
        opts=site.child(),
    )
    if not services:
        return [s3]
    group = aws.ec2.SecurityGroup(
        f"{site.name}-endpoints",
        vpc_id=vpc.id,
        description="AWS endpoints: HTTPS from the VPC",
        tags=site.tags("endpoints"),
        opts=site.child(),
    )
    aws.vpc.SecurityGroupIngressRule(
        f"{site.name}-endpoints-https",
        security_group_id=group.id,
        description="HTTPS from the VPC",
        cidr_ipv4=vpc.cidr,
        ip_protocol="tcp",
        from_port=443,
        to_port=443,
        tags=site.tags("endpoints"),
        opts=site.child(),
    )
    interfaces = [
        aws.ec2.VpcEndpoint(
            f"{site.name}-endpoint-{service.replace('.', '-')}",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{site.region}.{service}",
            vpc_endpoint_type="Interface",
            private_dns_enabled=True,
            subnet_ids=[subnet.id for subnet in subnets],
            security_group_ids=[group.id],
            tags=site.tags(service),
            opts=site.child(),
        )
        for service in services
    ]
    return [s3, *interfaces]
