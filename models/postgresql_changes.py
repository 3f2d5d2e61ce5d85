"""Whose rows have changed, on PostgreSQL: triggers NOTIFY, and every process LISTENs.

A notification that was sent before a query began arrives before the query's reply, so a query on
the listening connection proves that all before it was heard; without a fresh proof nothing is
current. https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC
"""

import asyncio
import time
from contextlib import suppress
from typing import Any

import structlog
from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from models.changes import TRIGGERS, ChangeFeed

log = structlog.get_logger("postern.models")

CHANNEL = "postern_changes"
HEARTBEAT_SECONDS = 1.0
# A heartbeat that takes longer is lost: the connection may be dead without having been closed.
HEARTBEAT_TIMEOUT_SECONDS = 2.0
TRUSTED_FOR_SECONDS = 3.0
RECONNECT_AFTER_SECONDS = 0.5

# A pooler that hands the connection's server to others (PgBouncer by transaction) would swallow
# notifications: then the server that answers is not one that listens.
_LISTENS = f"SELECT '{CHANNEL}' IN (SELECT pg_listening_channels())"
_TRIGGERS = "SELECT tgname FROM pg_trigger WHERE tgname LIKE 'postern%' AND tgenabled IN ('O', 'A')"


class _NotListeningError(Exception):
    """The connection is open and yet would not hear of changes."""


_LOST = (
    OSError,
    PostgresError,
    InterfaceError,
    InternalClientError,
    SQLAlchemyError,
    _NotListeningError,
)


class PostgresqlChanges(ChangeFeed):
    """Hears of commits to one database, over a connection of its own."""

    def __init__(self, engine: AsyncEngine) -> None:
        """Takes an engine without a pool."""
        super().__init__()
        self._engine = engine
        self._listening: asyncio.Task[None] | None = None
        self._connection: Any = None
        # When it was last lost: other lines to the same server may be dead too.
        self.lost_at = float("-inf")
        self._lost_by: str | None = None
        self._heard_until = float("-inf")
        self._heard = asyncio.Condition()
        self._heartbeat_wanted = asyncio.Event()

    async def start(self) -> None:
        """Begins to listen; returns after the first attempt."""
        first_attempt = asyncio.Event()
        self._listening = asyncio.create_task(self._listen_for_ever(first_attempt))
        await first_attempt.wait()

    async def stop(self) -> None:
        """Closes the connection."""
        if self._listening:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening
        await self._engine.dispose()

    def is_current(self) -> bool:
        """Whether the last proof is fresh, and the connection open."""
        if self._connection is None or self._connection.is_closed():
            return False
        return time.monotonic() - self._heard_until < TRUSTED_FOR_SECONDS

    async def catch_up(self) -> None:
        """Waits for a proof that begins now, or for the loss of the connection."""
        wanted = time.monotonic()
        self._heartbeat_wanted.set()
        async with self._heard:
            await self._heard.wait_for(
                lambda: self._connection is None or self._heard_until >= wanted
            )

    async def _listen_for_ever(self, attempted: asyncio.Event) -> None:
        while True:
            try:
                await self._listen(attempted)
            except Exception as error:
                # Whatever it is, this must never end: without it every request asks the database.
                cause = type(error).__name__
                if cause != self._lost_by:
                    self._lost_by = cause
                    known = isinstance(error, _LOST)
                    log.warning("change_feed.disconnected", cause=cause, exc_info=not known)
            finally:
                await self._lose()
                attempted.set()
            await asyncio.sleep(RECONNECT_AFTER_SECONDS)

    async def _listen(self, attempted: asyncio.Event) -> None:
        async with self._engine.connect() as pooled:
            connection: Any = (await pooled.get_raw_connection()).driver_connection
            try:
                await self._begin(connection)
                await self._prove(connection)
                attempted.set()
                if self._lost_by is not None:
                    self._lost_by = None
                    log.info("change_feed.connected")
                while True:
                    await self._wait_for_next_heartbeat()
                    await self._prove(connection)
            finally:
                # A polite end would wait for a peer that may not be there.
                connection.terminate()

    async def _begin(self, connection: Any) -> None:
        triggers = {row["tgname"] for row in await connection.fetch(_TRIGGERS)}
        if not triggers >= TRIGGERS:
            raise _NotListeningError
        await connection.add_listener(CHANNEL, self._hear)
        # What was committed while nobody listened is not known.
        self._tell_everything()

    async def _prove(self, connection: Any) -> None:
        began = time.monotonic()
        if not await connection.fetchval(_LISTENS, timeout=HEARTBEAT_TIMEOUT_SECONDS):
            raise _NotListeningError
        async with self._heard:
            self._connection, self._heard_until = connection, began
            self._heard.notify_all()

    async def _wait_for_next_heartbeat(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self._heartbeat_wanted.wait()
        self._heartbeat_wanted.clear()

    async def _lose(self) -> None:
        if self._connection is not None:
            self.lost_at = time.monotonic()
        async with self._heard:
            self._connection = None
            self._heard.notify_all()

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: str) -> None:
        self._tell(payload)
