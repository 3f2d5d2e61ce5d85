"""Client addresses behind trusted proxies, and IPv4-mapped addresses."""

import pytest
from starlette.types import Receive, Scope, Send

from auth.addresses import plain_address
from graph.http.requests import client_of
from server.http.proxy_headers import ProxyMiddleware


@pytest.mark.parametrize(
    ("address", "plain"),
    [
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:192.0.2.7", "192.0.2.7"),
        ("::ffff:c000:207", "192.0.2.7"),
        ("0:0:0:0:0:ffff:192.0.2.7", "192.0.2.7"),
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("testclient", "testclient"),
        ("not:an:address", "not:an:address"),
    ],
)
def test_plain_address_of_a_mapped_address_is_the_ipv4_address(address: str, plain: str) -> None:
    assert plain_address(address) == plain


def test_client_with_a_mapped_address_has_an_ipv4_address() -> None:
    scope = {"client": ("::ffff:192.0.2.7", 50000), "headers": []}
    assert client_of(scope).address == "192.0.2.7"


@pytest.mark.parametrize("trusted", ["10.0.0.5", "10.0.0.0/8", "::ffff:10.0.0.5"])
@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("::ffff:10.0.0.5", "192.0.2.7", "192.0.2.7"),
        ("::ffff:10.0.0.5", "::ffff:192.0.2.7", "192.0.2.7"),
        ("10.0.0.5", "192.0.2.7, ::ffff:10.0.0.5", "192.0.2.7"),
        ("10.0.0.5", "192.0.2.7, ::FFFF:10.0.0.5", "192.0.2.7"),
        ("10.0.0.5", "192.0.2.7, 0:0:0:0:0:ffff:a00:5", "192.0.2.7"),
        ("10.0.0.5", "192.0.2.7, [::ffff:10.0.0.5]:443", "192.0.2.7"),
        ("10.0.0.5", "[2001:db8::1]:50000, ::ffff:10.0.0.5", "2001:db8::1"),
        ("::ffff:192.0.2.99", "192.0.2.7", "192.0.2.99"),
    ],
)
async def test_trusted_proxy_is_matched_by_its_ipv4_address(
    trusted: str, peer: str, forwarded: str, client: str
) -> None:
    seen: list[str | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(client_of(scope).address)

    async def never() -> None:
        raise AssertionError

    scope = {
        "type": "http",
        "client": (peer, 50000),
        "headers": [(b"x-forwarded-for", forwarded.encode())],
    }
    await ProxyMiddleware(app, trusted=[trusted])(scope, never, never)  # type: ignore[arg-type]
    assert seen == [client]
