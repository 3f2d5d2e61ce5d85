"""The outer middleware: request ID, host check, security headers, log line, error replies."""

import re
import time
from collections.abc import Awaitable, Iterable, Mapping
from functools import lru_cache
from random import getrandbits

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.http.requests import read_headers
from models.database import DatabaseUnavailable
from server.http.cross_origin import CrossOriginPolicy, is_preflight
from server.http.head_requests import as_get
from server.logs import current_request_id, log_request
from server.rest.errors import json_reply
from server.rest.metrics import RequestMetrics

log = structlog.get_logger("postern.http")

GRAPHQL = "/graphql"

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# Health checks use the address of the machine as host, so any host is allowed for these paths.
_HEALTH_PATHS = frozenset({"/healthz", "/readyz"})
_RETRY_AFTER_SECONDS = "2"
_HOST_MAX_BYTES = 262
_HOST = re.compile(r"(\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:]+))(:[0-9]*)?")

_POLICY = b"content-security-policy"
# Browsers do not show these as pages, so they need fewer headers.
_DATA = (b"application/json", b"application/graphql-response+json")

_VARY = (b"vary", b"Origin")
_CLOSE = (b"connection", b"close")

Headers = Mapping[bytes, bytes]


class RequestMiddleware:
    """The outermost middleware, except for the proxy headers. All replies pass through it."""

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
        self._headers = _SecurityHeaders(https=https)
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
        if headers.get(b"upgrade") and _requests_upgrade(headers):
            extra = [*extra, _CLOSE]
        reply = _Reply(send, self._headers, request_id, extra)
        started = time.perf_counter()
        try:
            if self._is_host_allowed(scope, headers):
                if origin and is_preflight(scope, headers):
                    await self._cross_origin.answer_preflight(headers, reply)
                else:
                    await self._app(scope, receive, reply)
            else:
                await _host_not_allowed()(scope, receive, reply)
        except DatabaseUnavailable as error:
            log.warning(error.event, cause=str(error))
            await reply.send_instead(_unavailable(error), scope, receive)
        except ClientDisconnect:
            # Disconnected before the request was complete, so there is no reply to send.
            pass
        except Exception:
            log.exception("http.internal_error")
            await reply.send_instead(_internal_error(request_id), scope, receive)
        finally:
            seconds = time.perf_counter() - started
            raw_path = scope.get("raw_path", b"")
            log_request(scope["method"], raw_path, reply.status, seconds, request_id)
            if self._metrics is not None:
                self._metrics.add(scope["path"], reply.status, seconds)

    async def _serve_socket(
        self, scope: Scope, headers: Headers, receive: Receive, send: Send
    ) -> None:
        if not self._is_host_allowed(scope, headers):
            # Before the handshake is complete, ASGI servers answer 403 to this.
            await send({"type": "websocket.close", "code": 1008})
            return
        started = time.perf_counter()
        try:
            await self._app(scope, receive, send)
        finally:
            log.info("socket.closed", seconds=round(time.perf_counter() - started, 1))

    def _is_host_allowed(self, scope: Scope, headers: Headers) -> bool:
        host = headers.get(b"host", b"")
        # Two Host headers, which are not allowed (RFC 9112, 3.2), arrive joined by a comma. The
        # limit is the longest name with a port (RFC 1035, 2.3.4).
        is_single = b"," not in host and len(host) <= _HOST_MAX_BYTES
        is_allowed = is_single and host_name(host) in self._hosts
        return is_allowed or scope["path"] in _HEALTH_PATHS


class _Reply:
    """A `send` that adds the security headers and keeps the status."""

    __slots__ = ("_extra", "_headers", "_request_id", "_send", "status")

    def __init__(
        self,
        send: Send,
        headers: "_SecurityHeaders",
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
                *self._headers.missing_from(given),
                *self._extra,
            ]
        return self._send(message)

    async def send_instead(self, response: Response, scope: Scope, receive: Receive) -> None:
        """Sends this response. If another has started, raises to close the connection."""
        if self.status:
            raise ConnectionAbortedError("the reply had started")
        await response(scope, receive, self)


class _SecurityHeaders:
    """The security headers of replies: fewer for data, all of them for pages."""

    def __init__(self, *, https: bool) -> None:
        self._for_data = [
            (b"x-content-type-options", b"nosniff"),
            # A cache must not return the reply for one origin to a page of another (CORS).
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

    def missing_from(self, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Returns the security headers that a reply with the given headers still needs."""
        for name, value in given:
            if name == b"content-type" and value.startswith(_DATA):
                return self._for_data
        names = dict(given)
        return [header for header in self._for_pages if header is _VARY or header[0] not in names]


class EndpointMiddleware:
    """Answers HEAD like GET, and calls the GraphQL endpoints directly.

    FastAPI's routing is slower. One class does both, because each middleware adds a call to every
    request.
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
    """Returns the name in a Host header without the port; "" if malformed (RFC 9110, 7.2)."""
    found = _HOST.fullmatch(host.decode("latin-1"))
    return (found["address"] or found["name"]).lower() if found else ""


def _requests_upgrade(headers: Headers) -> bool:
    """Returns whether the request asks for an upgrade, so that its connection must be closed.

    uvicorn does not read the body of such a request and can parse it as the next request (uvicorn
    issue 2722). `postern serve` never passes on such requests, uvicorn alone does.
    """
    options = headers.get(b"connection", b"").lower().split(b",")
    return b"upgrade" in [option.strip() for option in options]


def _read_request_id(headers: Headers) -> str:
    given = headers.get(b"x-request-id", b"")
    if given and _REQUEST_ID.fullmatch(given):
        return given.decode()
    # The ID is not a secret, so a fast random generator is enough.
    return getrandbits(128).to_bytes(16).hex()


def _host_not_allowed() -> Response:
    message = "Host header not allowed. Add the host to POSTERN_ALLOWED_HOSTS."
    return json_reply({"detail": message}, 400)


def _unavailable(error: DatabaseUnavailable) -> Response:
    return json_reply({"detail": error.message}, 503, {"Retry-After": _RETRY_AFTER_SECONDS})


def _internal_error(request_id: str) -> Response:
    message = f"Internal error. Report this request ID to the operator: {request_id}"
    return json_reply({"detail": message}, 500)
