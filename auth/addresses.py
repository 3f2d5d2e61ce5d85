"""Normalization of network addresses."""

from functools import lru_cache
from ipaddress import IPv6Address


@lru_cache(maxsize=1024)
def plain_address(address: str) -> str:
    """Returns the IPv4 address of an IPv4-mapped one (`::ffff:192.0.2.7`); others unchanged.

    A dual-stack socket reports IPv4 clients with mapped addresses. Trusted proxies, throttling and
    the audit log must treat both forms as the same client.
    """
    if ":" not in address:
        return address
    try:
        mapped = IPv6Address(address).ipv4_mapped
    except ValueError:
        return address
    return str(mapped) if mapped else address
