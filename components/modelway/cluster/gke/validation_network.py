"""Refuses wrong networks and ways to the API; pure."""

import re
from ipaddress import IPv4Network

from modelway._common import as_int, is_dns_label
from modelway.cluster import addresses
from modelway.cluster.findings import Findings
from modelway.cluster.gke.arguments import (
    DEFAULT_NODES_CIDR,
    DEFAULT_PODS_CIDR,
    DEFAULT_SERVICES_CIDR,
    GkeClusterArgs,
    GkeNetworkArgs,
)
from modelway.cluster.gke.tables import MOST_API_CIDRS

WAYS = "{dns: true}, {vpc: true} or {cidrs: [...]}"
RANGES = {
    "nodes_cidr": (DEFAULT_NODES_CIDR, 16, 27),
    "pods_cidr": (DEFAULT_PODS_CIDR, 9, 21),
    "services_cidr": (DEFAULT_SERVICES_CIDR, 16, 27),
}
"""Of a new network: default, widest and narrowest prefix."""
EXISTING = {
    "network_id": re.compile(r"projects/[a-z0-9:.-]+/global/networks/[a-z0-9-]+"),
    "subnet_id": re.compile(r"projects/[a-z0-9:.-]+/regions/[a-z0-9-]+/subnetworks/[a-z0-9-]+"),
}
FORMS = {
    "network_id": "projects/PROJECT/global/networks/NAME",
    "subnet_id": "projects/PROJECT/regions/REGION/subnetworks/NAME",
}
NODE_PREFIX = 24
"""Addresses of the pods of one node."""
RESERVED = 4
"""Addresses of a subnet that Google keeps."""


def api_access(findings: Findings, args: GkeClusterArgs) -> None:
    """Exactly one way, said in production, and there never everyone's."""
    if "api_access" not in args:
        if args["production"]:
            findings.add(
                "api_access",
                "missing in production",
                "nothing",
                WAYS,
                "dns for a name behind IAM, vpc for a runner in the network, cidrs for addresses outside",
            )
        return
    access = args["api_access"]
    listed = access.get("cidrs") or []
    ways = [way for way in ("dns", "vpc") if access.get(way, False)] + (["cidrs"] if listed else [])
    if len(ways) != 1:
        findings.add(
            "api_access",
            "not one way to the API",
            " and ".join(ways) or "none",
            WAYS,
            "dns for a name behind IAM, vpc for a runner in the network, cidrs for addresses outside",
        )
    addresses.api_cidrs(findings, listed, args["production"], MOST_API_CIDRS, "dns or vpc")


def network(findings: Findings, args: GkeClusterArgs) -> None:
    """A new network or an existing one."""
    asked = args.get("network", {})
    if any(key in asked for key in (*EXISTING, "pods_range", "services_range")):
        _existing(findings, asked, args["region"])
        return
    found: dict[str, IPv4Network] = {}
    for key, (default, widest, narrowest) in RANGES.items():
        parsed = addresses.read(findings, f"network.{key}", str(asked.get(key, default)), widest, narrowest)
        if parsed:
            addresses.private(findings, f"network.{key}", parsed)
            found[key] = parsed
    addresses.apart(findings, "network", [(f"{key} {cidr}", cidr) for key, cidr in found.items()])
    _room(findings, args, found)


def _room(findings: Findings, args: GkeClusterArgs, found: dict[str, IPv4Network]) -> None:
    """Each node takes an address, and a /24 of the pods'."""
    wanted = sum(as_int(pool["max_size"], 0) for pool in args.get("node_pools", []))
    rooms = {}
    if "nodes_cidr" in found:
        rooms["nodes_cidr"] = found["nodes_cidr"].num_addresses - RESERVED
    if "pods_cidr" in found:
        rooms["pods_cidr"] = 1 << (NODE_PREFIX - found["pods_cidr"].prefixlen)
    for key, room in rooms.items():
        if wanted > room:
            findings.add(
                f"network.{key}",
                "too few addresses for the pools",
                f"{room} nodes in {found[key]}",
                f"room for {wanted}",
                "widen it or lower max_size",
            )


def _existing(findings: Findings, asked: GkeNetworkArgs, region: str) -> None:
    for key, form in EXISTING.items():
        given = str(asked.get(key, ""))
        if not form.fullmatch(given):
            findings.add(f"network.{key}", "no full name", repr(given), FORMS[key], "see `gcloud compute networks`")
        elif key == "subnet_id" and f"/regions/{region}/" not in given:
            findings.add(
                f"network.{key}", "in another region", repr(given), f"a subnet in {region}", "change one of them"
            )
    for key in ("pods_range", "services_range"):
        if not is_dns_label(str(asked.get(key, ""))):
            findings.add(
                f"network.{key}",
                "no name of a secondary range",
                repr(asked.get(key, "")),
                "lower-case letters, digits and '-', a letter first",
                "name the subnet's",
            )
    for key in RANGES:
        if key in asked:
            findings.add(
                f"network.{key}", "shapes a new network only", "it with network_id", "one of the two", "remove one"
            )
