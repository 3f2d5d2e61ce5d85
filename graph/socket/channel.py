"""Sends and receives messages over one WebSocket, with limits for size, rate and time."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from graph.http.requests import client_of, read_headers
from graph.socket.messages import CloseSocket, encode_message, read_message
from graph.token_bucket import TokenBucket

MAX_MESSAGE_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class SocketPolicy:
    """The limits for sockets (ASVS 5.0, 4.4; CVE-2026-35526)."""

    allowed_origins: frozenset[str]
    per_address: int
    per_user: int = 20
    # Concurrent queries, mutations and subscriptions of one socket.
    operations: int = 10
    message_bytes: int = MAX_MESSAGE_BYTES
    # A token bucket: a burst of messages, then a rate.
    message_burst: int = 200
    messages_per_second: float = 50.0
    # Pings and pongs before `connection_init`.
    early_messages: int = 10
    init_timeout_seconds: float = 10.0
    # The time for a client to read a message.
    send_timeout_seconds: float = 10.0

    @property
    def per_site(self) -> int:
        """The limit for an IPv6 site (/48), which has 65,536 networks."""
        return self.per_address * 4

    @property
    def unauthenticated_per_address(self) -> int:
        """The limit for sockets of an address that are not authenticated yet."""
        return max(self.per_address // 4, 1)


class SocketChannel:
    """A WebSocket with the limits of the policy."""

    def __init__(self, socket: WebSocket, policy: SocketPolicy) -> None:
        self.client = client_of(socket.scope)
        self.authorization = read_headers(socket.scope).get(b"authorization")
        self._socket = socket
        self._policy = policy
        self._rate = TokenBucket(policy.message_burst, policy.messages_per_second)
        self._sending = asyncio.Lock()

    async def receive(self) -> Mapping[str, Any]:
        """Returns the next message. Raises CloseSocket, WebSocketDisconnect."""
        # Let other tasks run: receiving a message that has already arrived does not suspend, so a
        # fast client would block them.
        await asyncio.sleep(0)
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        if not self._rate.take(asyncio.get_running_loop().time()):
            raise CloseSocket(4429, "Too many messages")
        text = message.get("text")
        maximum = self._policy.message_bytes
        if text is not None and len(text.encode("utf-8", "surrogatepass")) > maximum:
            raise CloseSocket(1009, f"The message exceeds the limit of {maximum} bytes")
        return read_message(text)

    async def send(self, message: Mapping[str, Any]) -> None:
        """Sends a message. Raises WebSocketDisconnect if the client does not read."""
        text = encode_message(message)
        try:
            # One at a time, so that the timeout holds for each message to a slow client.
            async with asyncio.timeout(self._policy.send_timeout_seconds), self._sending:
                await self._socket.send_text(text)
        except TimeoutError:
            raise WebSocketDisconnect(1006, "The client does not read") from None
        except RuntimeError:
            # The socket is closed.
            raise WebSocketDisconnect from None

    async def close(self, close: CloseSocket) -> None:
        """Closes the socket, unless it is closed already."""
        with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
            async with asyncio.timeout(self._policy.send_timeout_seconds):
                await self._socket.close(close.code, close.reason)
