"""Lingering close: the client can read its reply before the connection is closed.

If a client is still sending when the server closes the connection, the system sends a reset. The
client then loses replies that it has not read yet (RFC 9112, 9.6). So the server first stops
sending, and discards incoming data until the client closes the connection or a limit is reached.
"""

import asyncio
from collections.abc import Callable
from typing import Any

# A client that sends more than this before it reads its reply is disconnected.
MOST_DISCARDED_BYTES = 16_000_000
# A client must read at least this much of a reply per timeout. Even modems are faster.
LEAST_READ_BYTES = 16_384


class ReplyTransport:
    """The transport that uvicorn writes replies to, with a different `close`."""

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class LingeringProtocol(asyncio.Protocol):
    """Discards the data that a client still sends after the last reply."""

    def __init__(self, transport: asyncio.Transport, connections: set[Any]) -> None:
        self.transport = transport
        self._connections = connections
        self._discarded_bytes = 0
        self._unread_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Takes over the connection, and closes it `seconds` after the client read the reply."""
        self._connections.add(self)
        self.transport.set_protocol(self)
        self.transport.write_eof()
        self._wait(loop, seconds)

    def data_received(self, data: bytes) -> None:
        """Discards the data."""
        self._discarded_bytes += len(data)
        if self._discarded_bytes > MOST_DISCARDED_BYTES:
            self.transport.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forgets the connection after it was closed."""
        self._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def shutdown(self) -> None:
        """Closes the connection. uvicorn calls this when the server stops."""
        self.transport.close()

    def _wait(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._unread_bytes = self.transport.get_write_buffer_size()
        self._timer = loop.call_later(seconds, self._close, loop, seconds)

    def _close(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        """Closes the connection, unless the client is still reading its reply."""
        unread_bytes = self.transport.get_write_buffer_size()
        must_read = min(LEAST_READ_BYTES, self._unread_bytes)
        if must_read and self._unread_bytes - unread_bytes >= must_read:
            self._wait(loop, seconds)
        elif unread_bytes:
            self.transport.abort()
        else:
            # Not `abort`: the system may still have unsent parts of the reply.
            self.transport.close()
