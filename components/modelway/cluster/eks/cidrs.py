"""Address arithmetic of the VPC; pure."""

from ipaddress import IPv4Network
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
