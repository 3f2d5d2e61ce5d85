"""Connections that end: the client reads its reply before the connection is closed.

A client may still be sending when a connection is closed. The system answers what arrives then with
a reset, and the reset destroys replies that the client has not read (RFC 9112, 9.6). So the server
stops sending first, and discards what comes until the client closes too, within bounds.
"""

import asyncio
from collections.abc import Callable
from typing import Any

# A client that sends more before it reads its reply is cut off.
MOST_DISCARDED_BYTES = 16_000_000
# What a client must read of a reply in the time it has: modems are faster.
LEAST_READ_BYTES = 16_384


class ReplyTransport:
    """The transport that uvicorn writes replies to; `close` is another than the connection's."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class Lingering(asyncio.Protocol):
    """Discards what a client still sends after the last reply."""

    def __init__(self, transport: asyncio.Transport, connections: set[Any]) -> None:
        self.transport = transport
        self._connections = connections
        self._discarded_bytes = 0
        self._unread_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Takes the connection over, for so long once its client has read the reply."""
        self._connections.add(self)
        self.transport.set_protocol(self)
        self.transport.write_eof()
        self._wait(loop, seconds)

    def data_received(self, data: bytes) -> None:
        """Discards it."""
        self._discarded_bytes += len(data)
        if self._discarded_bytes > MOST_DISCARDED_BYTES:
            self.transport.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        """The client has closed the connection, or the time limit has passed."""
        self._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def shutdown(self) -> None:
        """The server ends: uvicorn asks each connection to end too."""
        self.transport.close()

    def _wait(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._unread_bytes = self.transport.get_write_buffer_size()
        self._timer = loop.call_later(seconds, self._end, loop, seconds)

    def _end(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Ends the connection, unless the client still reads its reply."""
        unread_bytes = self.transport.get_write_buffer_size()
        must_read = min(LEAST_READ_BYTES, self._unread_bytes)
        if must_read and self._unread_bytes - unread_bytes >= must_read:
            self._wait(loop, seconds)
        elif unread_bytes:
            self.transport.abort()
        else:
            # Not `abort`: the system may still have a part of the reply.
            self.transport.close()
