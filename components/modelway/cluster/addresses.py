"""Checks of networks and addresses, the same on every cloud; pure."""

from collections.abc import Iterable
from ipaddress import IPv4Network
from itertools import combinations

from modelway.cluster.findings import Findings

PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
NOT_PUBLIC = (
    *PRIVATE,
    *(IPv4Network(text) for text in ("100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")),
)
WIDEST_IN_PRODUCTION = 16
"""Shortest prefix of a public network that may reach a production cluster's API."""

Named = tuple[str, IPv4Network]


def parse(text: str) -> IPv4Network | str:
    """The network, or what is wrong with the text."""
    try:
        return IPv4Network(text)
    except ValueError:
        try:
            loose = IPv4Network(text, strict=False)
        except ValueError:
            return "not an IPv4 CIDR"
        return f"host bits are set, the network is {loose}"


def overlaps(networks: Iterable[Named]) -> list[tuple[str, str]]:
    """Names of the networks that share addresses, in pairs."""
    return [(left, right) for (left, one), (right, two) in combinations(networks, 2) if one.overlaps(two)]


def read(findings: Findings, argument: str, text: str, shortest: int, longest: int) -> IPv4Network | None:
    """The network, none where something is wrong with it, which is then said."""
    parsed = parse(text)
    allowed = f"an IPv4 CIDR from /{shortest} to /{longest}"
    if isinstance(parsed, str):
        findings.add(argument, parsed, repr(text), allowed, "correct it")
        return None
    if not shortest <= parsed.prefixlen <= longest:
        findings.add(argument, "too large or too small", repr(text), allowed, "choose another size")
        return None
    return parsed


def private(findings: Findings, argument: str, found: IPv4Network) -> None:
    """Refuses public addresses."""
    if not any(found.subnet_of(block) for block in PRIVATE):
        findings.add(
            argument, "not private addresses", repr(str(found)), ", ".join(str(block) for block in PRIVATE), "change it"
        )


def apart(findings: Findings, argument: str, networks: Iterable[Named]) -> None:
    """Refuses networks that share addresses."""
    for left, right in overlaps(networks):
        findings.add(argument, "networks overlap", f"{left} and {right}", "networks apart", "change one of them")


def api_cidrs(findings: Findings, listed: list[str], production: bool, most: int, fix: str) -> None:
    """Refuses what must not reach a cluster's API; `fix` says how everyone else gets there."""
    if len(listed) > most:
        findings.add("api_access.cidrs", "too many", len(listed), f"at most {most}", "merge some")
    shortest = WIDEST_IN_PRODUCTION if production else 0
    networks = []
    for text in listed:
        parsed = read(findings, "api_access.cidrs", text, 0, 32)
        if parsed is None:
            continue
        if parsed.prefixlen < shortest:
            findings.add(
                "api_access.cidrs",
                "public access from anywhere in production" if parsed.prefixlen == 0 else "too wide for production",
                repr(text),
                f"/{shortest} to /32",
                f"name the addresses of whoever deploys, or use {fix}",
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
    apart(findings, "api_access.cidrs", networks)
