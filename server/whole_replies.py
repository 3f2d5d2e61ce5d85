"""The head of a reply leaves together with its body, in one segment rather than two.

uvicorn writes the head as soon as the application has said it. ASGI asks a server to wait for the
first piece of the body (https://asgi.readthedocs.io/en/latest/specs/www.html#response-start-send-event),
and each write to a socket costs as much as a third of a small request.
"""

import asyncio
from typing import cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class WholeReply:
    """What a request's cycle writes to, in the place of its connection."""

    __slots__ = ("_cycle", "_head", "_transport")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._transport = cycle.transport
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Keeps the head of the reply, and writes all else."""
        if self._head:
            self._transport.write(self._head + data)
            self._head = b""
        elif self._head is None and self._cycle.response_started:
            self._head = data
        else:
            # `100 Continue`, or more of a body.
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Whether the connection is."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Closes the connection; a head without a body is no reply."""
        self._transport.close()


def hold_head(cycle: RequestResponseCycle) -> None:
    """Lets the head of the reply wait for its body, where there is to be one."""
    if cycle.scope["method"] != "HEAD":
        cycle.transport = cast("asyncio.Transport", WholeReply(cycle))
