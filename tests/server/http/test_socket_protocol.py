"""Limits on WebSocket frames. See also tests/faults/test_hostile_sockets.py."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from server.http.socket_protocol import MAX_UNSENT_BYTES, BoundedWebSocketProtocol
from tests.databases import wait_until
from tests.faults.wire import head

UPGRADE = head(
    "GET",
    upgrade="websocket",
    connection="Upgrade",
    sec_websocket_version="13",
    sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ==",
)


class UnreadTransport(asyncio.Transport):
    """Records what is written; `unsent_bytes` is the data that the client has not read."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unsent_bytes = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        return self.unsent_bytes

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        pass


async def accept(_scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await receive()


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[BoundedWebSocketProtocol, UnreadTransport]]:
    config = uvicorn.Config(accept, interface="asgi3", log_config=None, ws_ping_interval=None)
    state, transport = ServerState(), UnreadTransport()
    protocol = BoundedWebSocketProtocol(config, state, {})
    protocol.connection_made(transport)
    protocol.data_received(UPGRADE)
    await wait_until(lambda: b"101 Switching" in transport.written)
    transport.written = b""
    yield protocol, transport
    protocol.connection_lost(None)
    await asyncio.gather(*state.tasks)


def ping(name: bytes) -> bytes:
    """Returns a ping frame of a client, masked with zeros."""
    return bytes([0x89, 0x80 | len(name)]) + bytes(4) + name


async def test_ping_is_answered_only_while_the_client_reads() -> None:
    async with opened() as (protocol, transport):
        transport.unsent_bytes = MAX_UNSENT_BYTES + 1
        protocol.data_received(ping(b"unread"))
        assert transport.written == b""
        transport.unsent_bytes = MAX_UNSENT_BYTES
        protocol.data_received(ping(b"read"))
        assert transport.written == b"\x8a\x04read"
