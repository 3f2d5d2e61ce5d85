"""Replies are written whole, and those of one turn of the event loop together at its end.

uvicorn writes the head of a reply, then its body, each at once. ASGI asks a server to keep the head
until there is something of the body
(https://asgi.readthedocs.io/en/latest/specs/www.html#response-start-send-event). A write to a
socket costs as much as a third of a small request, and more where it wakes the reader each time.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class Outbox:
    """What is written when the turn ends, in the order in which it came."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[tuple[asyncio.Transport, bytes]] = deque()

    def add(self, transport: asyncio.Transport, data: bytes) -> None:
        """Writes this soon."""
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append((transport, data))

    def flush(self) -> None:
        """Writes all that waits, but to whom has gone meanwhile: nobody else waits for them."""
        while self._waiting:
            transport, data = self._waiting.popleft()
            # uvloop's raises for a closed one.
            with suppress(RuntimeError):
                transport.write(data)


class WholeReply:
    """What a request's cycle writes to, in the place of its connection."""

    __slots__ = ("_cycle", "_head", "_outbox", "_transport")

    def __init__(self, cycle: RequestResponseCycle, outbox: Outbox) -> None:
        self._cycle = cycle
        self._outbox = outbox
        self._transport = cycle.transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Keeps the head, writes it with the first of the body when the turn ends, and then all."""
        if self._head:
            self._outbox.add(self._transport, self._head + data)
            self._head = b""
        elif self._head is None and self._cycle.response_started:
            self._head = data
        else:
            # `100 Continue`, or more of a body: of a long one no more is held than its beginning.
            self._outbox.flush()
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether the connection is."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Closes the connection when all is written; a head without a body is no reply."""
        self._outbox.flush()
        self._transport.close()


def write_whole(cycle: RequestResponseCycle, outbox: Outbox) -> None:
    """Lets the head of the reply wait for its body, where there is to be one."""
    if cycle.scope["method"] != "HEAD":
        cycle.transport = cast("asyncio.Transport", WholeReply(cycle, outbox))
