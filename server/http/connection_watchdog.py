"""Creates the connections of a process and closes those of slow clients."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any, cast

import structlog
from uvicorn import Config
from uvicorn.server import ServerState

from server.http.reply_buffer import ReplyBuffer
from server.http.timed_protocol import TimedProtocol

log = structlog.get_logger("postern.http")

_CHECK_SECONDS = 1.0


class ConnectionWatchdog:
    """Creates the protocol of each connection, and checks all connections once a second.

    `timeout` is the number of seconds that a client has for each step (see `timed_protocol`).
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._check_seconds = min(_CHECK_SECONDS, timeout / 4)
        self._server_state: ServerState | None = None
        self._buffer: ReplyBuffer | None = None
        self._closing: dict[Any, float] = {}

    def __call__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> TimedProtocol:
        """Returns the protocol of a new connection."""
        if self._buffer is None or self._server_state is not server_state:
            loop = _loop or asyncio.get_running_loop()
            self._server_state, self._buffer = server_state, ReplyBuffer(loop)
            self._schedule_check(loop, server_state)
        return TimedProtocol(self._buffer, config, server_state, app_state, _loop)

    def _schedule_check(self, loop: asyncio.AbstractEventLoop, server_state: ServerState) -> None:
        loop.call_later(self._check_seconds, self._check, loop, server_state)

    def _check(self, loop: asyncio.AbstractEventLoop, server_state: ServerState) -> None:
        self._schedule_check(loop, server_state)
        connections = list(server_state.connections)
        self._close_timed_out(connections, loop.time())
        self.abort_unread_sockets(connections, loop.time())

    def _close_timed_out(self, connections: Iterable[object], now: float) -> None:
        steps = Counter(
            step.value
            for connection in connections
            if isinstance(connection, TimedProtocol)
            and (step := connection.close_if_timed_out(now, self.timeout))
        )
        if steps:
            # One line for all of them, so that an attacker cannot fill the disk.
            log.info("http.client_timeout", awaited=dict(steps))

    def abort_unread_sockets(self, connections: Iterable[Any], now: float) -> None:
        """Aborts closing WebSockets whose client does not read the rest within the timeout."""
        self._closing = {
            socket: self._closing.get(socket, now)
            for socket in connections
            if not isinstance(socket, TimedProtocol) and socket.transport.is_closing()
        }
        for socket, since in self._closing.items():
            if now - since >= self.timeout:
                socket.transport.abort()


def http_protocol(timeout: float) -> type[asyncio.Protocol]:
    """Returns the `http` argument of uvicorn's `Config`, which may be a factory of protocols."""
    return cast("type[asyncio.Protocol]", ConnectionWatchdog(timeout))
