"""What every request passes: an id, the host check, safe headers, one log line, no bare fault."""

import re
import time
from collections.abc import Awaitable, Iterable, Mapping
from functools import lru_cache
from random import getrandbits

import orjson
import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.http.requests import read_headers
from models.database import DatabaseUnavailable
from server.http.cross_origin import CrossOriginPolicy, is_preflight
from server.http.head_requests import as_get
from server.logs import current_request_id, log_request
from server.rest.metrics import RequestMetrics

log = structlog.get_logger("postern.http")

GRAPHQL = "/graphql"

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# Probes call by the address of the machine, which no list of hosts can know.
_FOR_PROBES = frozenset({"/healthz", "/readyz"})
_RETRY_AFTER_SECONDS = "2"
_HOST_MAX_BYTES = 262
_HOST = re.compile(r"(\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:]+))(:[0-9]*)?")

_POLICY = b"content-security-policy"
# No browser makes a page of these.
_DATA = (b"application/json", b"application/graphql-response+json")

_VARY = (b"vary", b"Origin")
_CLOSE = (b"connection", b"close")

Headers = Mapping[bytes, bytes]


class RequestMiddleware:
    """The outermost middleware of ours: nothing leaves the server without passing it."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Iterable[str],
        https: bool,
        cross_origin: CrossOriginPolicy,
        metrics: RequestMetrics | None,
    ) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._headers = _SafeHeaders(https=https)
        self._cross_origin = cross_origin
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        headers = read_headers(scope)
        request_id = _read_request_id(headers)
        scope["postern.request_id"] = request_id
        current_request_id.set(request_id)
        if scope["type"] == "websocket":
            await self._serve_socket(scope, headers, receive, send)
            return
        origin = headers.get(b"origin")
        extra = self._cross_origin.headers_for(origin) if origin else ()
        if headers.get(b"upgrade") and _asks_for_upgrade(headers):
            extra = [*extra, _CLOSE]
        reply = _Reply(send, self._headers, request_id, extra)
        began = time.perf_counter()
        try:
            if self._is_called_by_its_name(scope, headers):
                if origin and is_preflight(scope, headers):
                    await self._cross_origin.answer_preflight(headers, reply)
                else:
                    await self._app(scope, receive, reply)
            else:
                await _host_not_allowed()(scope, receive, reply)
        except DatabaseUnavailable as error:
            log.warning(error.event, cause=str(error))
            await reply.instead(_unavailable(error), scope, receive)
        except ClientDisconnect:
            # Gone, or cut off, before its request was whole: nobody is left to answer.
            pass
        except Exception:
            log.exception("http.internal_error")
            await reply.instead(_fault(request_id), scope, receive)
        finally:
            seconds = time.perf_counter() - began
            raw_path = scope.get("raw_path", b"")
            log_request(scope["method"], raw_path, reply.status, seconds, request_id)
            if self._metrics is not None:
                self._metrics.add(scope["path"], reply.status, seconds)

    async def _serve_socket(
        self, scope: Scope, headers: Headers, receive: Receive, send: Send
    ) -> None:
        if not self._is_called_by_its_name(scope, headers):
            # Before the handshake is over this is a 403.
            await send({"type": "websocket.close", "code": 1008})
            return
        began = time.perf_counter()
        try:
            await self._app(scope, receive, send)
        finally:
            log.info("socket.closed", seconds=round(time.perf_counter() - began, 1))

    def _is_called_by_its_name(self, scope: Scope, headers: Headers) -> bool:
        host = headers.get(b"host", b"")
        # Two Host headers come joined by a comma, and are the name of nobody (RFC 9112, 3.2). No
        # name is longer than this, with its port (RFC 1035, 2.3.4).
        is_one_name = b"," not in host and len(host) <= _HOST_MAX_BYTES
        is_ours = is_one_name and host_name(host) in self._hosts
        return is_ours or scope["path"] in _FOR_PROBES


class _Reply:
    """A `send` that adds the safe headers and remembers what was sent."""

    __slots__ = ("_extra", "_headers", "_request_id", "_send", "status")

    def __init__(
        self,
        send: Send,
        headers: "_SafeHeaders",
        request_id: str,
        extra: Iterable[tuple[bytes, bytes]],
    ) -> None:
        self._send = send
        self._extra = extra
        self._headers = headers
        self._request_id = request_id
        self.status = 0

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = message["headers"]
            message["headers"] = [
                *given,
                (b"x-request-id", self._request_id.encode()),
                *self._headers.beside(given),
                *self._extra,
            ]
        return self._send(message)

    async def instead(self, response: Response, scope: Scope, receive: Receive) -> None:
        """Sends this response, unless another has begun: then only cutting it off is left."""
        if self.status:
            raise ConnectionAbortedError("the reply had begun")
        await response(scope, receive, self)


class _SafeHeaders:
    """The headers that keep browsers from doing with a reply what it is not for."""

    def __init__(self, *, https: bool) -> None:
        self._for_data = [
            (b"x-content-type-options", b"nosniff"),
            # A cache must not hand the reply to one origin to a page of another (CORS).
            _VARY,
            (_POLICY, b"default-src 'none'; frame-ancestors 'none'"),
        ]
        if https:
            self._for_data.append((b"strict-transport-security", b"max-age=31536000"))
        self._for_pages = [
            *self._for_data,
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
        ]

    def beside(self, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Those for a reply that has these."""
        for name, value in given:
            if name == b"content-type" and value.startswith(_DATA):
                return self._for_data
        names = dict(given)
        return [header for header in self._for_pages if header is _VARY or header[0] not in names]


class EndpointMiddleware:
    """Answers HEAD as GET, and passes requests for GraphQL straight to their endpoint.

    Routing them through FastAPI takes longer. One middleware does both, because each costs every
    request a call.
    """

    def __init__(self, app: ASGIApp, *, endpoints: Mapping[str, ASGIApp]) -> None:
        self._app = app
        self._endpoints = endpoints

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Handles one request."""
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        if scope["method"] == "HEAD":
            scope = as_get(scope)
        endpoint = self._endpoints.get(scope["path"]) or self._app
        return endpoint(scope, receive, send)


@lru_cache(maxsize=256)
def host_name(host: bytes) -> str:
    """The name in a Host header, without the port; empty if malformed (RFC 9110, 7.2)."""
    found = _HOST.fullmatch(host.decode("latin-1"))
    return (found["address"] or found["name"]).lower() if found else ""


def _asks_for_upgrade(headers: Headers) -> bool:
    """Whether the server did not read the body of this request, and may parse it as another.

    `postern serve` never passes such a request on; uvicorn alone does (uvicorn issue 2722).
    """
    options = headers.get(b"connection", b"").lower().split(b",")
    return b"upgrade" in [option.strip() for option in options]


def _read_request_id(headers: Headers) -> str:
    given = headers.get(b"x-request-id", b"")
    if given and _REQUEST_ID.fullmatch(given):
        return given.decode()
    # It names a request and opens nothing: a fast generator will do.
    return getrandbits(128).to_bytes(16).hex()


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return Response(
        orjson.dumps({"detail": message}),
        status,
        {"Content-Type": "application/json; charset=utf-8", **(headers or {})},
    )


def _host_not_allowed() -> Response:
    return _error(400, "Host header not allowed. Add the host to POSTERN_ALLOWED_HOSTS.")


def _unavailable(error: DatabaseUnavailable) -> Response:
    return _error(503, error.message, {"Retry-After": _RETRY_AFTER_SECONDS})


def _fault(request_id: str) -> Response:
    return _error(500, f"Something went wrong on the server. Tell its operator: {request_id}.")
