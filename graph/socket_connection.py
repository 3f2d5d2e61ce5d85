"""One WebSocket from its first message to its end."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import structlog
from graphql import ExecutionResult, OperationType
from starlette.websockets import WebSocket, WebSocketDisconnect

from auth.errors import Unauthenticated
from auth.viewers import Viewer, follow, look_again, viewer_of
from auth.wiring import Auth
from graph.context import Context
from graph.cookies import CookieJar, CookiePolicy
from graph.encoding import encode_json
from graph.errors import coded_error, format_errors
from graph.operations import OperationRefused, Operations
from graph.replies import result_body
from graph.requests import client_of
from graph.socket_messages import (
    SocketEnd,
    Subscribe,
    has_token,
    read_id,
    read_message,
    read_subscribe,
    read_token,
)
from models.database import DatabaseUnavailable

log = structlog.get_logger("postern.graph")

MAX_MESSAGE_BYTES = 65_536
# What is sent before the socket ends for good may still arrive: the event that says why.
LAST_WORDS_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class SocketPolicy:
    """Who may open sockets, and how many (ASVS 5.0, 4.4; CVE-2026-35526)."""

    allowed_origins: frozenset[str]
    per_address: int
    per_user: int = 20
    subscriptions: int = 10
    message_bytes: int = MAX_MESSAGE_BYTES
    init_timeout_seconds: float = 10.0


class SocketConnection:
    """One accepted socket, of one viewer."""

    def __init__(
        self,
        operations: Operations,
        auth: Auth,
        cookies: CookiePolicy,
        policy: SocketPolicy,
        socket: WebSocket,
    ) -> None:
        self._operations = operations
        self._auth = auth
        self._cookies = cookies
        self._policy = policy
        self._socket = socket
        self._viewer: Viewer | None = None
        self._following: asyncio.Task[None] | None = None
        self._running: dict[str, asyncio.Task[None]] = {}
        self.client = client_of(socket.scope)

    async def serve(self, viewer: Viewer) -> None:
        """Until the client goes (WebSocketDisconnect), or is to be sent away (SocketEnd)."""
        try:
            self._follow(viewer)
            await self._send({"type": "connection_ack"})
            while True:
                await self._handle(await self._receive())
        finally:
            await self._cancel_everything()

    async def close(self, end: SocketEnd) -> None:
        """Closes the socket, unless it is closed."""
        with suppress(RuntimeError, WebSocketDisconnect):
            await self._socket.close(end.code, end.reason)

    async def initialise(self) -> Viewer:
        """Who the first message says. Raises SocketEnd, WebSocketDisconnect."""
        try:
            async with asyncio.timeout(self._policy.init_timeout_seconds):
                message = await self._receive()
                while message["type"] in {"ping", "pong"}:
                    await self._pong(message)
                    message = await self._receive()
        except TimeoutError:
            raise SocketEnd(4408, "Connection initialisation timeout") from None
        if message["type"] != "connection_init":
            raise SocketEnd(4401, "Unauthorized")
        return await self._authenticate(message.get("payload"))

    async def _authenticate(self, payload: object) -> Viewer:
        try:
            return await viewer_of(self._auth, self.client, read_token(payload))
        except Unauthenticated as denial:
            raise SocketEnd.of(denial) from None
        except DatabaseUnavailable:
            raise SocketEnd(1013, "Try again later") from None

    async def _handle(self, message: Mapping[str, Any]) -> None:
        match message["type"]:
            case "ping":
                await self._pong(message)
            case "pong":
                pass
            case "subscribe":
                await self._subscribe(read_subscribe(message))
            case "complete":
                if task := self._running.pop(read_id(message), None):
                    task.cancel()
            case "connection_init":
                raise SocketEnd(4429, "Too many initialisation requests")
            case _:
                raise SocketEnd(4400, "Unknown message type")

    async def _pong(self, message: Mapping[str, Any]) -> None:
        if message["type"] != "ping":
            return
        if self._viewer is not None and has_token(message.get("payload")):
            await self._renew(self._viewer, message["payload"])
        await self._send({"type": "pong"})

    async def _renew(self, viewer: Viewer, payload: object) -> None:
        """Goes on with the next token of the same session."""
        renewed = await self._authenticate(payload)
        if renewed.session_id != viewer.session_id:
            raise SocketEnd(4403, "The token belongs to another session")
        self._follow(renewed)

    def _follow(self, viewer: Viewer) -> None:
        if self._following:
            self._following.cancel()
        self._viewer = viewer
        self._following = asyncio.create_task(self._close_in_the_end(viewer))

    async def _close_in_the_end(self, viewer: Viewer) -> None:
        end = await self._wait_for_the_end(viewer)
        if self._running and end.code == 4401:
            await asyncio.wait(self._running.values(), timeout=LAST_WORDS_SECONDS)
        await self.close(end)

    async def _wait_for_the_end(self, viewer: Viewer) -> SocketEnd:
        try:
            async with aclosing(follow(self._auth, viewer)) as looks:
                async for now in looks:
                    if now.user.roles != viewer.user.roles:
                        # What the subscriptions were allowed by may be gone: all begin again.
                        break
        except Unauthenticated as denial:
            return SocketEnd.of(denial)
        except Exception:
            log.exception("graphql.fault")
            return SocketEnd(1011, "Internal error")
        return SocketEnd(4403, "Your roles have changed")

    async def _subscribe(self, wanted: Subscribe) -> None:
        if wanted.id in self._running:
            raise SocketEnd(4409, f"Subscriber for {wanted.id[:50]} already exists")
        bound = self._policy.subscriptions
        if len(self._running) >= bound:
            message = f"A socket carries at most {bound} subscriptions."
            await self._tell_errors(wanted.id, [coded_error("LIMIT_EXCEEDED", message)])
            return
        self._running[wanted.id] = asyncio.create_task(self._run(wanted))

    async def _run(self, wanted: Subscribe) -> None:
        """Sends what one subscription gives, and `complete` when it is over."""
        request_id = uuid4().hex
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            results = await self._results(wanted)
            if isinstance(results, ExecutionResult):
                await self._tell_errors(wanted.id, format_errors(results.errors or [], request_id))
                return
            await self._send_all(wanted, results, request_id)
            await self._complete(wanted)
        except OperationRefused as refused:
            await self._tell_errors(wanted.id, refused.errors)
        except DatabaseUnavailable:
            await self.close(SocketEnd(1013, "Try again later"))
        except WebSocketDisconnect:
            pass
        except Exception:
            log.exception("graphql.fault")
            error = coded_error("INTERNAL_SERVER_ERROR", f"Something went wrong: {request_id}.")
            await self._tell_errors(wanted.id, [error])
        finally:
            if self._running.get(wanted.id) is asyncio.current_task():
                del self._running[wanted.id]

    async def _send_all(
        self, wanted: Subscribe, results: AsyncIterator[ExecutionResult], request_id: str
    ) -> None:
        async with aclosing(results):  # type: ignore[type-var] # a generator in fact
            async for result in results:
                errors = format_errors(result.errors or [], request_id)
                if errors and result.data is None:
                    raise OperationRefused(errors)
                payload = result_body(result, errors)
                await self._send({"id": wanted.id, "type": "next", "payload": payload})

    async def _complete(self, wanted: Subscribe) -> None:
        # After `complete` a client closes the socket itself, and would never know why.
        assert self._viewer is not None
        try:
            await look_again(self._auth, self._viewer)
        except Unauthenticated as denial:
            await self.close(SocketEnd.of(denial))
        else:
            await self._send({"id": wanted.id, "type": "complete"})

    async def _results(self, wanted: Subscribe) -> ExecutionResult | AsyncIterator[ExecutionResult]:
        """What the subscription gives. Raises OperationRefused."""
        viewer = self._viewer
        assert viewer is not None
        operation = self._operations.find(wanted.query, wanted.document_id, wanted.operation_name)
        if operation.type is not OperationType.SUBSCRIPTION:
            message = "Only subscriptions run over a socket."
            raise OperationRefused([coded_error("BAD_REQUEST", message)])
        context = Context(self._auth, self.client, viewer, CookieJar(self._cookies, None))
        return await operation.subscribe(wanted.variables, context)

    async def _tell_errors(self, operation_id: str, errors: Sequence[Mapping[str, Any]]) -> None:
        await self._send({"id": operation_id, "type": "error", "payload": errors})

    async def _receive(self) -> Mapping[str, Any]:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text = message.get("text")
        bound = self._policy.message_bytes
        if text is not None and len(text.encode("utf-8", "surrogatepass")) > bound:
            raise SocketEnd(1009, f"A message has at most {bound} bytes")
        return read_message(text)

    async def _send(self, message: Mapping[str, Any]) -> None:
        try:
            await self._socket.send_text(encode_json(message).decode())
        except RuntimeError:
            # It was closed meanwhile, by us.
            raise WebSocketDisconnect from None

    async def _cancel_everything(self) -> None:
        tasks = [*self._running.values(), *([self._following] if self._following else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
