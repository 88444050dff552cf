"""DNS names and IP addresses that certificates carry."""

import ipaddress
import re
from collections.abc import Iterable

from modelway._egress import is_address

_DNS_NAME = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def is_host(host: str) -> bool:
    """Whether a certificate can carry it: an address, or a lower-case DNS name (RFC 1123), perhaps after `*.`."""
    if is_address(host):
        return True
    # A last label of digits is meant as an address.
    named = _DNS_NAME.fullmatch(host) is not None and len(host) <= 253 and not host.rpartition(".")[2].isdigit()
    return named and (not host.startswith("*.") or host.count(".") >= 2)


def dns_names(hosts: Iterable[str]) -> list[str]:
    """The names among `hosts`."""
    return [host for host in hosts if not is_address(host)]


def ip_addresses(hosts: Iterable[str]) -> list[str]:
    """The addresses among `hosts`, in their short form."""
    return [str(ipaddress.ip_address(host)) for host in hosts if is_address(host)]


def covers(hosts: Iterable[str], host: str) -> bool:
    """Whether a certificate with `hosts` fits `host`; `*` stands for one label (RFC 6125, 6.4.3)."""
    if is_address(host):
        return str(ipaddress.ip_address(host)) in ip_addresses(hosts)
    wanted = host.lower()
    return any(name in (wanted, f"*.{wanted.partition('.')[2]}") for name in dns_names(hosts))
