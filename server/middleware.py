"""What every request passes: an id, the host check, safe headers, one log line, no bare fault."""

import re
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from random import getrandbits

import orjson
import structlog
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.requests import read_headers
from models.database import DatabaseUnavailable
from server.logs import log_request

log = structlog.get_logger("postern.http")

GRAPHQL = "/graphql"

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# Probes call by the address of the machine, which no list of hosts can know.
_FOR_PROBES = frozenset({"/healthz", "/readyz"})
_RETRY_AFTER_SECONDS = "2"
_EXPOSED_HEADERS = ("WWW-Authenticate", "Retry-After", "X-Request-Id")

Headers = Mapping[bytes, bytes]


class RequestMiddleware:
    """The outermost middleware of ours: nothing leaves the server without passing it."""

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], https: bool) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._headers = _safe_headers(https=https)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = read_headers(scope)
        request_id = _read_request_id(headers)
        scope["postern.request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)
        if scope["type"] == "websocket":
            await self._serve_socket(scope, headers, receive, send)
            return
        reply = _Reply(send, [*self._headers, (b"x-request-id", request_id.encode())])
        began = time.perf_counter()
        try:
            await self._answer(scope, headers, receive, reply)
        finally:
            log_request(
                scope["method"],
                scope.get("raw_path", b""),
                reply.status,
                time.perf_counter() - began,
                request_id,
            )

    async def _answer(
        self, scope: Scope, headers: Headers, receive: Receive, reply: "_Reply"
    ) -> None:
        if not self._is_called_by_its_name(scope, headers):
            await _error(400, "This server is not called by that name: see POSTERN_ALLOWED_HOSTS.")(
                scope, receive, reply
            )
            return
        try:
            await self._app(scope, receive, reply)
        except DatabaseUnavailable:
            log.warning("database.unavailable")
            await reply.instead(_unavailable(), scope, receive)
        except ClientDisconnect:
            # Gone, or cut off, before its request was whole: nobody is left to answer.
            pass
        except Exception:
            log.exception("http.fault")
            await reply.instead(_fault(scope["postern.request_id"]), scope, receive)

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
            log.info("socket", seconds=round(time.perf_counter() - began, 1))

    def _is_called_by_its_name(self, scope: Scope, headers: Headers) -> bool:
        # Two Host headers come joined, and are the name of nobody.
        name = host_name(headers.get(b"host", b""))
        return name in self._hosts or scope["path"] in _FOR_PROBES


class _Reply:
    """A `send` that adds the safe headers and remembers what was sent."""

    def __init__(self, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        self._send = send
        self._headers = headers
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = {name for name, _ in message["headers"]}
            ours = [header for header in self._headers if header[0] not in given]
            message["headers"] = [*message["headers"], *ours]
        await self._send(message)

    async def instead(self, response: Response, scope: Scope, receive: Receive) -> None:
        """Sends this response, unless another has begun: then only cutting it off is left."""
        if self.status:
            raise ConnectionAbortedError("the reply had begun")
        await response(scope, receive, self)


class OriginMiddleware:
    """Which pages of other origins may call (CORS); whoever is no page passes untouched."""

    def __init__(self, app: ASGIApp, *, origins: Iterable[str]) -> None:
        self._app = app
        self._cors = CORSMiddleware(
            app,
            allow_origins=tuple(origins),
            allow_credentials=True,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type"),
            expose_headers=_EXPOSED_HEADERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        from_a_page = any(name == b"origin" for name, _ in scope.get("headers", ()))
        await (self._cors if from_a_page else self._app)(scope, receive, send)


class GraphQLMiddleware:
    """Hands requests for GraphQL to its endpoint at once: FastAPI's way there takes longer."""

    def __init__(self, app: ASGIApp, *, endpoint: ASGIApp) -> None:
        self._app = app
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] == "http" and scope["path"] == GRAPHQL:
            await self._endpoint(scope, receive, send)
        else:
            await self._app(scope, receive, send)


@lru_cache(maxsize=256)
def host_name(host: bytes) -> str:
    """The name in a Host header, without the port (RFC 9110, 7.2)."""
    text = host.decode("latin-1")
    if text.startswith("["):
        return text[1:].partition("]")[0].lower()
    return text.partition(":")[0].lower()


def _read_request_id(headers: Headers) -> str:
    given = headers.get(b"x-request-id", b"")
    if given and _REQUEST_ID.fullmatch(given):
        return given.decode()
    # It names a request and opens nothing: a fast generator will do.
    return f"{getrandbits(128):032x}"


def _safe_headers(*, https: bool) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"x-content-type-options", b"nosniff"),
        (b"x-frame-options", b"DENY"),
        (b"referrer-policy", b"no-referrer"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        (b"cross-origin-opener-policy", b"same-origin"),
    ]
    if https:
        headers.append((b"strict-transport-security", b"max-age=31536000"))
    return headers


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    return Response(
        orjson.dumps({"detail": message}),
        status,
        {"Content-Type": "application/json; charset=utf-8", **(headers or {})},
    )


def _unavailable() -> Response:
    return _error(
        503,
        "The server cannot reach its database. Try again shortly.",
        {"Retry-After": _RETRY_AFTER_SECONDS},
    )


def _fault(request_id: str) -> Response:
    return _error(500, f"Something went wrong on the server. Tell its operator: {request_id}.")
