"""Refuses wrong networks and ways to the API; pure."""

from ipaddress import IPv4Network

from modelway.cluster.eks import cidrs
from modelway.cluster.eks.arguments import DEFAULT_CIDR, DEFAULT_SERVICE_CIDR, ApiAccessArgs, NetworkArgs
from modelway.cluster.eks.tables import INTERFACE_ENDPOINTS
from modelway.cluster.findings import Findings, repeated

PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
NOT_PUBLIC = (
    *PRIVATE,
    *(IPv4Network(text) for text in ("100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")),
)
MOST_API_CIDRS = 40
WIDEST_IN_PRODUCTION = 16
OWN = ("zones", "cidr", "nat", "interface_endpoints")


def _read(findings: Findings, argument: str, text: str, shortest: int, longest: int) -> IPv4Network | None:
    """The network, none where something is wrong with it, which is then said."""
    parsed = cidrs.parse(text)
    allowed = f"an IPv4 CIDR from /{shortest} to /{longest}"
    if isinstance(parsed, str):
        findings.add(argument, parsed, repr(text), allowed, "correct it")
        return None
    if not shortest <= parsed.prefixlen <= longest:
        findings.add(argument, "too large or too small", repr(text), allowed, "choose another size")
        return None
    return parsed


def api_access(findings: Findings, args: ApiAccessArgs, production: bool) -> None:
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
    if len(listed) > MOST_API_CIDRS:
        findings.add("api_access.cidrs", "too many", len(listed), f"at most {MOST_API_CIDRS}", "merge some")
    shortest = WIDEST_IN_PRODUCTION if production else 0
    networks = []
    for text in listed:
        parsed = _read(findings, "api_access.cidrs", text, 0, 32)
        if parsed is None:
            continue
        if parsed.prefixlen < shortest:
            findings.add(
                "api_access.cidrs",
                "public access from anywhere in production" if parsed.prefixlen == 0 else "too wide for production",
                repr(text),
                f"/{shortest} to /32",
                "name the addresses of whoever deploys, or use vpc",
            )
        elif any(parsed.subnet_of(block) for block in NOT_PUBLIC):
            findings.add(
                "api_access.cidrs",
                "not a public address",
                repr(text),
                "addresses as the internet sees them",
                "nodes and the VPC reach the API without it",
            )
        networks.append((text, parsed))
    _no_overlaps(findings, "api_access.cidrs", networks)


def _no_overlaps(findings: Findings, argument: str, networks: list[tuple[str, IPv4Network]]) -> None:
    for left, right in cidrs.overlaps(networks):
        findings.add(argument, "networks overlap", f"{left} and {right}", "networks apart", "change one of them")


def network(findings: Findings, args: NetworkArgs, region: str) -> None:
    """A new VPC or an existing one; `region` is empty where it is unknown."""
    service = _read(findings, "network.service_cidr", args.get("service_cidr", DEFAULT_SERVICE_CIDR), 12, 24)
    if service:
        _private(findings, "network.service_cidr", service)
    if "vpc_id" in args or "private_subnet_ids" in args:
        _existing(findings, args)
        return
    _zones(findings, args.get("zones", []), region)
    vpc = _read(findings, "network.cidr", args.get("cidr", DEFAULT_CIDR), 16, 20)
    if vpc:
        _private(findings, "network.cidr", vpc)
    if vpc and service:
        _no_overlaps(findings, "network", [(f"cidr {vpc}", vpc), (f"service_cidr {service}", service)])
    if "nat" in args:
        findings.one_of("network.nat", "unknown choice", args["nat"], ["per-zone", "one"])
    endpoints = args.get("interface_endpoints", [])
    for service_name in endpoints:
        findings.one_of("network.interface_endpoints", "unknown service", service_name, INTERFACE_ENDPOINTS)
    for service_name in repeated(endpoints):
        findings.add("network.interface_endpoints", "named twice", repr(service_name), "each once", "remove one")


def _private(findings: Findings, argument: str, found: IPv4Network) -> None:
    if not any(found.subnet_of(block) for block in PRIVATE):
        findings.add(
            argument, "not private addresses", repr(str(found)), ", ".join(str(block) for block in PRIVATE), "change it"
        )


def _existing(findings: Findings, args: NetworkArgs) -> None:
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
