"""CORS (https://fetch.spec.whatwg.org/#http-cors-protocol).

Pages of the origins in POSTERN_CORS_ORIGINS may call the server with any header. There is no list
of allowed headers, because clients, tracing tools and proxies add their own.
"""

import re
from collections.abc import Iterable, Mapping

from starlette.types import Message, Scope, Send

HeaderFields = list[tuple[bytes, bytes]]

_METHODS = b"GET, POST"
_ALWAYS_ALLOWED = b"authorization, content-type"
_HEADER_NAME = re.compile(rb"[a-z0-9][a-z0-9._-]{0,63}")
_MOST_HEADER_NAMES = 64
_MOST_HEADER_BYTES = 2_048
_EXPOSED = b"WWW-Authenticate, Retry-After, X-Request-Id, Date, Allow"
_MAX_AGE_SECONDS = b"600"
# A cache must not return the reply for one origin to a page of another origin.
PREFLIGHT_VARY = (b"vary", b"Access-Control-Request-Method, Access-Control-Request-Headers")


class CrossOriginPolicy:
    """The origins whose pages may call the server, and the headers of their replies."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._headers = {
            origin.encode(): [
                (b"access-control-allow-origin", origin.encode()),
                (b"access-control-allow-credentials", b"true"),
                (b"access-control-expose-headers", _EXPOSED),
            ]
            for origin in origins
        }

    def headers_for(self, origin: bytes) -> HeaderFields:
        """Returns the CORS headers of a reply to this origin; none if it is not allowed."""
        return self._headers.get(origin, [])

    async def answer_preflight(self, headers: Mapping[bytes, bytes], send: Send) -> None:
        """Answers a preflight request; the caller's `send` adds `headers_for` the origin."""
        is_allowed = headers[b"origin"] in self._headers
        start: Message = {
            "type": "http.response.start",
            "status": 200 if is_allowed else 403,
            "headers": [(b"content-length", b"0"), PREFLIGHT_VARY],
        }
        if is_allowed:
            requested = headers.get(b"access-control-request-headers", b"")
            start["headers"] += [
                (b"access-control-allow-methods", _METHODS),
                (b"access-control-allow-headers", allowed_names(requested)),
                (b"access-control-max-age", _MAX_AGE_SECONDS),
            ]
        await send(start)
        await send({"type": "http.response.body", "body": b""})


def is_preflight(scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
    """Returns whether this is a CORS preflight request."""
    return (
        scope["method"] == "OPTIONS"
        and b"origin" in headers
        and b"access-control-request-method" in headers
    )


def allowed_names(requested: bytes) -> bytes:
    """Returns the header names that the page may send: the requested ones, if they are valid."""
    names = [name.strip() for name in requested.lower().split(b",") if name.strip()]
    is_bounded = len(requested) <= _MOST_HEADER_BYTES and len(names) <= _MOST_HEADER_NAMES
    if not names or not is_bounded or not all(map(_HEADER_NAME.fullmatch, names)):
        return _ALWAYS_ALLOWED
    return b", ".join(names)
