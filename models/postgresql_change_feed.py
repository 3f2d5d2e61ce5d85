"""The change feed on PostgreSQL: triggers NOTIFY, and every process LISTENs.

Notifications that were sent before a query arrive before its reply. So a heartbeat query on the
listening connection confirms that all earlier notifications were received. Without a recent
heartbeat the feed is not current.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC
"""

import asyncio
import time
from contextlib import suppress
from typing import Any

import structlog
from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from models.change_feed import TRIGGERS, ChangeFeed

log = structlog.get_logger("postern.models")

CHANNEL = "postern_changes"
HEARTBEAT_SECONDS = 1.0
# After this time the connection counts as lost. It may be dead without being closed.
HEARTBEAT_TIMEOUT_SECONDS = 2.0
CURRENT_FOR_SECONDS = 3.0
RECONNECT_AFTER_SECONDS = 0.5

# PgBouncer in transaction mode would drop notifications: the server process that replies is then
# not one that listens.
_LISTENS = f"SELECT '{CHANNEL}' IN (SELECT pg_listening_channels())"
_TRIGGERS = "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'postern%' AND tgenabled IN ('O', 'A')"


class _NotListeningError(Exception):
    """The connection is open but receives no notifications."""


_KNOWN_ERRORS = (
    OSError,
    PostgresError,
    InterfaceError,
    InternalClientError,
    SQLAlchemyError,
    _NotListeningError,
)


class PostgresqlChangeFeed(ChangeFeed):
    """Receives notifications on its own connection."""

    def __init__(self, engine: AsyncEngine) -> None:
        """`engine` must have no pool."""
        super().__init__()
        self._engine = engine
        self._listening: asyncio.Task[None] | None = None
        self._connection: Any = None
        # When the connection was last lost. Others to the same server may be dead too.
        self.lost_at = float("-inf")
        self._last_error: str | None = None
        self._current_until = float("-inf")
        self._confirmed = asyncio.Condition()
        self._heartbeat_requested = asyncio.Event()

    async def start(self) -> None:
        """Starts to listen. Returns after the first attempt."""
        first_attempt = asyncio.Event()
        self._listening = asyncio.create_task(self._keep_listening(first_attempt))
        await first_attempt.wait()

    async def stop(self) -> None:
        """Closes the connection."""
        if self._listening:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening
        await self._engine.dispose()

    def is_current(self) -> bool:
        """Returns whether the last heartbeat is recent and the connection is open."""
        if self._connection is None or self._connection.is_closed():
            return False
        return time.monotonic() - self._current_until < CURRENT_FOR_SECONDS

    async def catch_up(self) -> None:
        """Waits for a heartbeat that starts now, or until the connection is lost."""
        requested_at = time.monotonic()
        self._heartbeat_requested.set()
        async with self._confirmed:
            await self._confirmed.wait_for(
                lambda: self._connection is None or self._current_until >= requested_at
            )

    async def _keep_listening(self, attempted: asyncio.Event) -> None:
        while True:
            try:
                await self._listen(attempted)
            except Exception as error:
                # Any error: the task must not end, since requests would query the database.
                cause = type(error).__name__
                if cause != self._last_error:
                    self._last_error = cause
                    known = isinstance(error, _KNOWN_ERRORS)
                    log.warning("change_feed.disconnected", cause=cause, exc_info=not known)
            finally:
                await self._disconnect()
                attempted.set()
            await asyncio.sleep(RECONNECT_AFTER_SECONDS)

    async def _listen(self, attempted: asyncio.Event) -> None:
        async with self._engine.connect() as pooled:
            connection: Any = (await pooled.get_raw_connection()).driver_connection
            try:
                await self._listen_on(connection)
                await self._send_heartbeat(connection)
                attempted.set()
                if self._last_error is not None:
                    self._last_error = None
                    log.info("change_feed.connected")
                while True:
                    await self._wait_for_next_heartbeat()
                    await self._send_heartbeat(connection)
            finally:
                # Not closed: that would wait for a server that may be gone.
                connection.terminate()

    async def _listen_on(self, connection: Any) -> None:
        triggers = {row["tgname"] for row in await connection.fetch(_TRIGGERS)}
        if not triggers >= TRIGGERS:
            raise _NotListeningError
        await connection.add_listener(CHANNEL, self._on_notification)
        # Commits before this are unknown.
        self._notify_of_everything()

    async def _send_heartbeat(self, connection: Any) -> None:
        started_at = time.monotonic()
        if not await connection.fetchval(_LISTENS, timeout=HEARTBEAT_TIMEOUT_SECONDS):
            raise _NotListeningError
        async with self._confirmed:
            self._connection, self._current_until = connection, started_at
            self._confirmed.notify_all()

    async def _wait_for_next_heartbeat(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self._heartbeat_requested.wait()
        self._heartbeat_requested.clear()

    async def _disconnect(self) -> None:
        if self._connection is not None:
            self.lost_at = time.monotonic()
        async with self._confirmed:
            self._connection = None
            self._confirmed.notify_all()

    def _on_notification(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        self._notify(payload)
