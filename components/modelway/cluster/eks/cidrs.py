"""Address arithmetic of the VPC; pure."""

from collections.abc import Iterable
from ipaddress import IPv4Network
from itertools import combinations
from typing import NamedTuple


class ZoneSubnets(NamedTuple):
    """Addresses of one zone."""

    zone: str
    private: str
    public: str


def plan(cidr: str, zones: list[str]) -> list[ZoneSubnets]:
    """Subnets per zone: a quarter of the VPC private, a sixteenth of it (from the last quarter) public.

    A third zone added later changes nothing of the first two.
    """
    quarters = list(IPv4Network(cidr).subnets(prefixlen_diff=2))
    publics = list(quarters[3].subnets(prefixlen_diff=2))
    return [
        ZoneSubnets(zone, str(private), str(public))
        for zone, private, public in zip(zones, quarters, publics, strict=False)
    ]


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


def overlaps(networks: Iterable[tuple[str, IPv4Network]]) -> list[tuple[str, str]]:
    """Names of the networks that share addresses, in pairs."""
    return [(left, right) for (left, one), (right, two) in combinations(networks, 2) if one.overlaps(two)]
