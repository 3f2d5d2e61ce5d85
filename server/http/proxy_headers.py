"""Client addresses behind trusted proxies (`X-Forwarded-For`), over IPv4 and IPv6."""

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from auth.addresses import plain_address

_FORWARDED_FOR = b"x-forwarded-for"
# Occurs in every notation of an IPv4-mapped address.
_MAPPED = b":ffff:"


class ProxyMiddleware:
    """uvicorn's `X-Forwarded-For` middleware, with IPv4-mapped addresses as IPv4 addresses."""

    def __init__(self, app: ASGIApp, *, trusted: Sequence[str]) -> None:
        hosts = [plain_address(host) for host in trusted]
        self._middleware = ProxyHeadersMiddleware(app, trusted_hosts=hosts)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        peer = scope.get("client")
        if peer:
            scope["client"] = (plain_address(peer[0]), peer[1])
        if any(
            name == _FORWARDED_FOR and _MAPPED in value.lower() for name, value in scope["headers"]
        ):
            scope["headers"] = [_with_plain_addresses(*header) for header in scope["headers"]]
        await self._middleware(scope, receive, send)  # type: ignore[arg-type]


def _with_plain_addresses(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    if name != _FORWARDED_FOR:
        return name, value
    hops = (_plain_hop(hop.strip()) for hop in value.decode("latin-1").split(","))
    return name, ", ".join(hops).encode("latin-1")


def _plain_hop(hop: str) -> str:
    """Returns the plain address of a hop, which can have a port (`[::ffff:192.0.2.7]:50000`)."""
    if not hop.startswith("["):
        return plain_address(hop)
    address, _, port = hop[1:].partition("]")
    plain = plain_address(address)
    return hop if plain == address else plain + port
