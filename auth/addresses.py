"""Network addresses in one spelling."""

from functools import lru_cache
from ipaddress import IPv6Address


@lru_cache(maxsize=1024)
def plain_address(address: str) -> str:
    """Returns the IPv4 address inside a mapped one (`::ffff:192.0.2.7`), any other unchanged.

    A socket for both families has mapped addresses for its IPv4 clients. They must be the same
    clients for trusted proxies, throttling and the audit log.
    """
    if ":" not in address:
        return address
    try:
        mapped = IPv6Address(address).ipv4_mapped
    except ValueError:
        return address
    return str(mapped) if mapped else address
