"""The messages of one WebSocket, within bounds: how many, how long, and how long unread."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from graph.http.requests import client_of, read_headers
from graph.socket.messages import SocketEnd, encode_message, read_message
from graph.token_bucket import TokenBucket

MAX_MESSAGE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class SocketPolicy:
    """Who may open sockets, how many, and what each may do (ASVS 5.0, 4.4; CVE-2026-35526)."""

    allowed_origins: frozenset[str]
    per_address: int
    per_user: int = 20
    # Queries, mutations and subscriptions that run at once on one socket.
    operations: int = 10
    message_bytes: int = MAX_MESSAGE_BYTES
    # So many messages at once, and so many per second from then on.
    message_burst: int = 200
    messages_per_second: float = 50.0
    # Pings and pongs before `connection_init`.
    early_messages: int = 10
    init_timeout_seconds: float = 10.0
    # For how long a client may leave unread what was sent to it.
    send_timeout_seconds: float = 10.0

    @property
    def per_site(self) -> int:
        """How many sockets may be open of an IPv6 /48, which has 65,536 networks."""
        return self.per_address * 4

    @property
    def unauthenticated_per_address(self) -> int:
        """How many sockets of an address may be open that have not signed in yet."""
        return max(self.per_address // 4, 1)


class SocketChannel:
    """Receives, sends and closes."""

    def __init__(self, socket: WebSocket, policy: SocketPolicy) -> None:
        self.client = client_of(socket.scope)
        self.authorization = read_headers(socket.scope).get(b"authorization")
        self._socket = socket
        self._policy = policy
        self._rate = TokenBucket(policy.message_burst, policy.messages_per_second)
        self._sending = asyncio.Lock()

    async def receive(self) -> Mapping[str, Any]:
        """The next message. Raises SocketEnd, WebSocketDisconnect."""
        # A client that sends faster than its messages are handled must not keep others waiting:
        # receiving a message that is there already does not give way to them.
        await asyncio.sleep(0)
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        if not self._rate.take(asyncio.get_running_loop().time()):
            raise SocketEnd(4429, "Too many messages")
        text = message.get("text")
        maximum = self._policy.message_bytes
        if text is not None and len(text.encode("utf-8", "surrogatepass")) > maximum:
            raise SocketEnd(1009, f"A message has at most {maximum} bytes")
        return read_message(text)

    async def send(self, message: Mapping[str, Any]) -> None:
        """Sends a message. Raises WebSocketDisconnect if the client does not read."""
        text = encode_message(message)
        try:
            # One at a time: all that wait for a slow client would be written at once.
            async with asyncio.timeout(self._policy.send_timeout_seconds), self._sending:
                await self._socket.send_text(text)
        except TimeoutError:
            raise WebSocketDisconnect(1006, "The client does not read") from None
        except RuntimeError:
            # The socket was closed in the meantime.
            raise WebSocketDisconnect from None

    async def close(self, end: SocketEnd) -> None:
        """Closes the socket, unless it is closed."""
        with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
            async with asyncio.timeout(self._policy.send_timeout_seconds):
                await self._socket.close(end.code, end.reason)
