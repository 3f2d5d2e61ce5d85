"""Limits and budgets: delays, and the networks of client addresses."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth.throttling.budgets import (
    DEVICE,
    NAME,
    NETWORK,
    SITE,
    Limit,
    network_budgets,
    network_of,
    site_of,
)

LIMIT = Limit("test", free=3, half_life=timedelta(hours=1), longest=timedelta(seconds=10))


def test_delay_doubles_after_the_free_failures() -> None:
    delays = [LIMIT.delay_after(failures).total_seconds() for failures in range(9)]
    assert delays == [0, 0, 0, 1, 2, 4, 8, 10, 10]


@given(st.floats(0, 10_000))
def test_delay_is_between_zero_and_longest(failures: float) -> None:
    for limit in (DEVICE, NAME, NETWORK, SITE):
        assert timedelta() <= limit.delay_after(failures) <= limit.longest


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not an address", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_network_of_is_address_or_slash_64(address: str | None, network: str) -> None:
    assert network_of(address) == network


@given(st.ip_addresses(v=6), st.integers(0, 2**64 - 1))
def test_addresses_of_one_slash_64_have_same_network(address: Any, host: int) -> None:
    sibling = type(address)((int(address) >> 64 << 64) | host)
    if not address.ipv4_mapped and not sibling.ipv4_mapped:
        assert network_of(str(address)) == network_of(str(sibling))


@pytest.mark.parametrize(
    ("address", "site"),
    [
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("::ffff:192.0.2.7", None),
        ("192.0.2.7", None),
        ("not an address", None),
    ],
)
def test_site_of_is_the_ipv6_slash_48(address: str, site: str | None) -> None:
    assert site_of(address) == site


def test_network_budgets_include_the_site_for_ipv6_only() -> None:
    (ipv4,) = network_budgets(NETWORK, SITE, "192.0.2.7")
    ipv6, site = network_budgets(NETWORK, SITE, "2001:db8:1:2::1")
    assert (ipv4.key, ipv6.key, site.key) == ("192.0.2.7", "2001:db8:1:2::/64", "2001:db8:1::/48")
