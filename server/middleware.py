"""What every request passes: an id, the host check, safe headers, one log line, no bare fault."""

import re
import time
from collections.abc import Iterable
from uuid import uuid4

import orjson
import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.database import DatabaseUnavailable

log = structlog.get_logger("postern.http")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Probes call by the address of the machine, which no list of hosts can know.
_FOR_PROBES = frozenset({"/healthz", "/readyz"})
_RETRY_AFTER_SECONDS = "2"
# Nobody may fill the disk with one request.
_LOGGED_PATH_BYTES = 200


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
        headers = Headers(scope=scope)
        request_id = _read_request_id(headers)
        scope["postern.request_id"] = request_id
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        if scope["type"] == "websocket":
            await self._serve_socket(scope, headers, receive, send)
            return
        reply = _Reply(send, {**self._headers, "X-Request-Id": request_id})
        began = time.perf_counter()
        try:
            await self._answer(scope, headers, receive, reply)
        finally:
            log.info(
                "request",
                method=scope["method"],
                # As it came, percent-encoded and without the query: no control characters, and
                # nothing that somebody put where it does not belong.
                path=scope.get("raw_path", b"")[:_LOGGED_PATH_BYTES].decode(
                    "ascii", "backslashreplace"
                ),
                status=reply.status,
                milliseconds=round((time.perf_counter() - began) * 1000, 1),
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
        if scope["path"] in _FOR_PROBES:
            return True
        given = headers.getlist("host")
        return len(given) == 1 and host_name(given[0]) in self._hosts


class _Reply:
    """A `send` that adds the safe headers and remembers what was sent."""

    def __init__(self, send: Send, headers: dict[str, str]) -> None:
        self._send = send
        self._headers = headers
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers.setdefault(name, value)
        await self._send(message)

    async def instead(self, response: Response, scope: Scope, receive: Receive) -> None:
        """Sends this response, unless another has begun: then only cutting it off is left."""
        if self.status:
            raise ConnectionAbortedError("the reply had begun")
        await response(scope, receive, self)


def host_name(host: str) -> str:
    """The name in a Host header, without the port (RFC 9110, 7.2)."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _read_request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid4().hex


def _safe_headers(*, https: bool) -> dict[str, str]:
    headers = {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    if https:
        headers["Strict-Transport-Security"] = "max-age=31536000"
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
