"""All connections of a process: made here, and looked after once a second."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any, cast

import structlog
from uvicorn import Config
from uvicorn.server import ServerState

from server.http.reply_buffer import Outbox
from server.http.timed_protocol import TimedProtocol

log = structlog.get_logger("postern.http")

_SECONDS_BETWEEN_LOOKS = 1.0


class Connections:
    """Makes the protocol of each connection, and looks after them all."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._looks_every = min(_SECONDS_BETWEEN_LOOKS, seconds / 4)
        self._looks_after: ServerState | None = None
        self._outbox: Outbox | None = None
        self._closing: dict[Any, float] = {}

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> TimedProtocol:
        """The protocol of a new connection."""
        if self._outbox is None or self._looks_after is not server_state:
            loop = _loop or asyncio.get_running_loop()
            self._looks_after, self._outbox = server_state, Outbox(loop)
            self._look_later(loop, server_state)
        return TimedProtocol(self._outbox, config, server_state, app_state, _loop)

    def _look_later(self, loop: asyncio.AbstractEventLoop, server_state: ServerState) -> None:
        loop.call_later(self._looks_every, self._look, loop, server_state)

    def _look(self, loop: asyncio.AbstractEventLoop, server_state: ServerState) -> None:
        self._look_later(loop, server_state)
        connections = list(server_state.connections)
        self._end_the_late(connections, loop.time())
        self._end_the_unclosed(connections, loop.time())

    def _end_the_late(self, connections: Iterable[object], now: float) -> None:
        ended = Counter(
            step.value
            for connection in connections
            if isinstance(connection, TimedProtocol)
            and (step := connection.end_if_too_late(now, self._seconds))
        )
        if ended:
            # One line however many there are: they may want to fill the disk.
            log.info("http.client_timeout", awaited=dict(ended))

    def _end_the_unclosed(self, connections: Iterable[Any], now: float) -> None:
        """Cuts WebSockets that are closed but for what their client does not read."""
        self._closing = {
            socket: self._closing.get(socket, now)
            for socket in connections
            if not isinstance(socket, TimedProtocol) and socket.transport.is_closing()
        }
        for socket, since in self._closing.items():
            if now - since >= self._seconds:
                socket.transport.abort()


def protocol(seconds: float) -> type[asyncio.Protocol]:
    """What uvicorn takes as `http`: makes connections whose clients have so long for each step."""
    return cast("type[asyncio.Protocol]", Connections(seconds))
