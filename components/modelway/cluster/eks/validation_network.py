"""Refuses wrong networks and ways to the API; pure."""

from modelway.cluster import addresses
from modelway.cluster.eks.arguments import DEFAULT_CIDR, DEFAULT_SERVICE_CIDR, EksApiAccessArgs, EksNetworkArgs
from modelway.cluster.eks.tables import INTERFACE_ENDPOINTS
from modelway.cluster.findings import Findings, repeated

MOST_API_CIDRS = 40
OWN = ("zones", "cidr", "nat", "interface_endpoints")


def api_access(findings: Findings, args: EksApiAccessArgs, production: bool) -> None:
    """Exactly one way, and in production never everyone's."""
    listed = args.get("cidrs") or []
    if bool(listed) == args.get("vpc", False):
        findings.add(
            "api_access",
            "not one way to the API",
            "both" if listed else "none",
            "{vpc: true} or {cidrs: [...]}",
            "vpc for a runner in the network, cidrs for addresses outside",
        )
    addresses.api_cidrs(findings, listed, production, MOST_API_CIDRS, "vpc")


def network(findings: Findings, args: EksNetworkArgs, region: str) -> None:
    """A new VPC or an existing one; `region` is empty where it is unknown."""
    service = addresses.read(findings, "network.service_cidr", args.get("service_cidr", DEFAULT_SERVICE_CIDR), 12, 24)
    if service:
        addresses.private(findings, "network.service_cidr", service)
    if "vpc_id" in args or "private_subnet_ids" in args:
        _existing(findings, args)
        return
    _zones(findings, args.get("zones", []), region)
    vpc = addresses.read(findings, "network.cidr", args.get("cidr", DEFAULT_CIDR), 16, 20)
    if vpc:
        addresses.private(findings, "network.cidr", vpc)
    if vpc and service:
        addresses.apart(findings, "network", [(f"cidr {vpc}", vpc), (f"service_cidr {service}", service)])
    if "nat" in args:
        findings.one_of("network.nat", "unknown choice", args["nat"], ["per-zone", "one"])
    endpoints = args.get("interface_endpoints", [])
    for service_name in endpoints:
        findings.one_of("network.interface_endpoints", "unknown service", service_name, INTERFACE_ENDPOINTS)
    for service_name in repeated(endpoints):
        findings.add("network.interface_endpoints", "named twice", repr(service_name), "each once", "remove one")


def _existing(findings: Findings, args: EksNetworkArgs) -> None:
    subnets = args.get("private_subnet_ids", [])
    if not args.get("vpc_id", "").startswith("vpc-"):
        findings.add("network.vpc_id", "no ID of a VPC", repr(args.get("vpc_id")), "vpc-…", "add it")
    wrong = [subnet for subnet in subnets if not subnet.startswith("subnet-")]
    if wrong or len(set(subnets)) < 2:
        findings.add(
            "network.private_subnet_ids",
            "no subnets of at least two zones",
            ", ".join(subnets) or "none",
            "two or more of subnet-…",
            "name the private subnets of the VPC",
        )
    for key in OWN:
        if key in args:
            findings.add(f"network.{key}", "shapes a new VPC only", "it with vpc_id", "one of the two", "remove one")


def _zones(findings: Findings, zones: list[str], region: str) -> None:
    if not 2 <= len(zones) <= 3 or repeated(zones):
        findings.add(
            "network.zones",
            "not two or three different zones",
            ", ".join(zones) or "none",
            "two or three",
            f"such as {region or 'eu-west-1'}a and {region or 'eu-west-1'}b",
        )
    for zone in zones if region else []:
        if zone[:-1] != region or not zone[-1:].islower():
            findings.add(
                "network.zones",
                "no zone of the region",
                repr(zone),
                f"{region}a, {region}b, …",
                "change zone or region",
            )
