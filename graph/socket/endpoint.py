"""GraphQL over WebSockets, with the protocol graphql-transport-ws.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md

A socket belongs to one session. The server closes it when the token expires, the session ends or
the roles change: with 4403 if a new token helps (clients reconnect with one), otherwise with 4401.
To keep the socket open, a client sends its next token in the payload of a ping.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from auth.throttling.budgets import network_of, site_of
from auth.wiring import Auth
from graph.cookies import CookiePolicy
from graph.documents.operations import Operations
from graph.http.unfinished import UnfinishedOperations
from graph.socket.active_operations import OperationScope
from graph.socket.channel import SocketChannel, SocketPolicy
from graph.socket.connection import serve
from graph.socket.messages import CloseSocket
from graph.socket.viewer import SocketViewer, authenticate

log = structlog.get_logger("postern.graph")

PROTOCOL = "graphql-transport-ws"


class GraphQLSocket:
    """The ASGI application for WebSockets at `/graphql`."""

    def __init__(
        self,
        operations: Operations,
        auth: Auth,
        cookies: CookiePolicy,
        policy: SocketPolicy,
        unfinished: UnfinishedOperations,
    ) -> None:
        self._unfinished = unfinished
        self._operations = operations
        self._auth = auth
        self._cookies = cookies
        self._policy = policy
        self._open: Counter[object] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one socket until it is closed."""
        socket = WebSocket(scope, receive, send)
        channel = SocketChannel(socket, self._policy)
        try:
            self._check_origin(socket)
            await self._serve(socket, channel)
        except CloseSocket as close:
            # Before the handshake is complete, this is a 403.
            await channel.close(close)
        except WebSocketDisconnect:
            pass
        except Exception:
            log.exception("graphql.internal_error")
            await channel.close(CloseSocket(1011, "Internal error"))

    async def _serve(self, socket: WebSocket, channel: SocketChannel) -> None:
        """Authenticates and serves a socket. Raises CloseSocket, WebSocketDisconnect."""
        address = channel.client.address
        network, site = network_of(address), site_of(address)
        with (
            self._counted(("site", site or network), self._policy.per_site),
            self._counted(network, self._policy.per_address),
        ):
            with self._counted((network, "early"), self._policy.unauthenticated_per_address):
                await _accept(socket)
                viewer = await self._authenticate(channel)
            with self._counted(viewer.user_id, self._policy.per_user):
                await serve(channel, self._operation_scope(channel, viewer))

    async def _authenticate(self, channel: SocketChannel) -> SocketViewer:
        try:
            async with asyncio.timeout(self._policy.init_timeout_seconds):
                message = await self._receive_init(channel)
        except TimeoutError:
            raise CloseSocket(4408, "Connection initialisation timeout") from None
        payload = message.get("payload")
        return await authenticate(self._auth, channel.client, payload, channel.authorization)

    async def _receive_init(self, channel: SocketChannel) -> Mapping[str, Any]:
        for _ in range(self._policy.early_messages + 1):
            message = await channel.receive()
            match message["type"]:
                case "connection_init":
                    return message
                case "ping":
                    await channel.send({"type": "pong"})
                case "pong":
                    pass
                case _:
                    raise CloseSocket(4401, "Unauthorized")
        raise CloseSocket(4429, "Too many messages before connection_init")

    def _operation_scope(self, channel: SocketChannel, viewer: SocketViewer) -> OperationScope:
        return OperationScope(
            operations=self._operations,
            auth=self._auth,
            cookies=self._cookies,
            client=channel.client,
            viewer=viewer,
            unfinished=self._unfinished,
            max_operations=self._policy.operations,
        )

    @contextmanager
    def _counted(self, key: object, maximum: int) -> Iterator[None]:
        """Counts a socket while it is open. Raises CloseSocket if the limit is reached."""
        if self._open[key] >= maximum:
            raise CloseSocket(4429, "Too many sockets")
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]

    def _check_origin(self, socket: WebSocket) -> None:
        # Browsers open sockets to any host, and send the origin of the page (ASVS 5.0, 4.4.2).
        origin = socket.headers.get("origin")
        if origin is not None and origin not in self._policy.allowed_origins:
            raise CloseSocket(4403, "The origin is not allowed")


async def _accept(socket: WebSocket) -> None:
    if PROTOCOL in socket.scope["subprotocols"]:
        await socket.accept(PROTOCOL)
        return
    await socket.accept()
    raise CloseSocket(4406, "Subprotocol not acceptable")
