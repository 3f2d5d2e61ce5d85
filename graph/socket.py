"""Subscriptions over a WebSocket: the protocol graphql-transport-ws, and nothing but subscriptions.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md. A socket belongs to one bearer
token and is closed when that would be refused: 4403 where a fresh token helps (clients come back
with one), 4401 where none does. A client may stay by sending its next token in the payload of a
ping.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from auth.wiring import Auth
from graph.cookies import CookiePolicy
from graph.operations import Operations
from graph.socket_connection import SocketConnection, SocketPolicy
from graph.socket_messages import SocketEnd

PROTOCOL = "graphql-transport-ws"


class GraphQLSocket:
    """The ASGI application for WebSockets at `/graphql`."""

    def __init__(
        self, operations: Operations, auth: Auth, cookies: CookiePolicy, policy: SocketPolicy
    ) -> None:
        self._operations = operations
        self._auth = auth
        self._cookies = cookies
        self._policy = policy
        self._open: Counter[object] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one socket to its end."""
        socket = WebSocket(scope, receive, send)
        connection = SocketConnection(
            self._operations, self._auth, self._cookies, self._policy, socket
        )
        try:
            self._check_origin(socket)
            with self._counted(connection.client.address, self._policy.per_address):
                await _accept(socket)
                viewer = await connection.initialise()
                with self._counted(viewer.user_id, self._policy.per_user):
                    await connection.serve(viewer)
        except SocketEnd as end:
            # Before the handshake is over this is a 403.
            await connection.close(end)
        except WebSocketDisconnect:
            pass

    @contextmanager
    def _counted(self, whose: object, bound: int) -> Iterator[None]:
        """Counts a socket while it is open. Raises SocketEnd if there are too many already."""
        if self._open[whose] >= bound:
            raise SocketEnd(4429, "Too many sockets")
        self._open[whose] += 1
        try:
            yield
        finally:
            self._open[whose] -= 1
            if not self._open[whose]:
                del self._open[whose]

    def _check_origin(self, socket: WebSocket) -> None:
        # Browsers open sockets to anywhere, and say on whose behalf (ASVS 5.0, 4.4.2).
        origin = socket.headers.get("origin")
        if origin is not None and origin not in self._policy.allowed_origins:
            raise SocketEnd(4403, "The origin is not allowed")


async def _accept(socket: WebSocket) -> None:
    if PROTOCOL in socket.scope["subprotocols"]:
        await socket.accept(PROTOCOL)
        return
    await socket.accept()
    raise SocketEnd(4406, "Subprotocol not acceptable")
