"""The change feed on SQLite: triggers write to a table, which is read after each commit.

`PRAGMA data_version` takes microseconds and shows whether another connection has committed. The
table is read only if it has. https://www.sqlite.org/pragma.html#pragma_data_version
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from models.change_feed import TRIGGERS, ChangeFeed

log = structlog.get_logger("postern.models")

# For subscriptions, which wait for changes without calling `is_current`.
POLL_SECONDS = 0.05


class SqliteChangeFeed(ChangeFeed):
    """Reads changes of a SQLite file. Use it on the thread of the event loop only."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._version = 0
        self._last_id = 0
        self._poll_task: asyncio.Task[None] | None = None
        self._waiters = 0
        self._has_waiters = asyncio.Event()
        self._read_in_this_turn = False

    async def start(self) -> None:
        """Opens a connection."""
        connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        if not _has_triggers(connection):
            connection.close()
            log.error("change_feed.triggers_missing", consequence="every request asks the database")
            return
        connection.execute("PRAGMA query_only = ON")
        self._version = _version(connection)
        (self._last_id,) = connection.execute(_LAST).fetchone()
        self._connection = connection
        self._poll_task = asyncio.create_task(self._poll())

    async def stop(self) -> None:
        """Closes the connection."""
        if self._poll_task:
            self._poll_task.cancel()
        if self._connection:
            self._connection.close()
            self._connection = None

    def is_current(self) -> bool:
        """Reads new changes, at most once per turn of the event loop, and notifies listeners.

        Requests that are handled in one turn arrived before it started, so no commit that they
        can depend on is missed.
        """
        if self._connection is None:
            return False
        if self._read_in_this_turn:
            return True
        try:
            self._read(self._connection)
        except sqlite3.Error:
            # The file is locked (VACUUM, recovery). The changes are read next time.
            return False
        self._read_in_this_turn = True
        asyncio.get_running_loop().call_soon(self._start_next_turn)
        return True

    def _start_next_turn(self) -> None:
        self._read_in_this_turn = False

    @contextmanager
    def polling(self) -> Iterator[None]:
        """Polls during the block."""
        self._waiters += 1
        self._has_waiters.set()
        try:
            yield
        finally:
            self._waiters -= 1
            if not self._waiters:
                self._has_waiters.clear()

    async def catch_up(self) -> None:
        """Does nothing, since `is_current` reads the changes."""

    def _read(self, connection: sqlite3.Connection) -> None:
        version = _version(connection)
        if version == self._version:
            return
        (last,) = connection.execute(_LAST).fetchone()
        rows = connection.execute(_SINCE, (self._last_id, last)).fetchall()
        if len(rows) != last - self._last_id or (None,) in rows:
            # The oldest rows were deleted, or the file was replaced.
            self._notify_of_everything()
        else:
            for user_id in {user_id for (user_id,) in rows}:
                self._notify(str(user_id))
        self._version, self._last_id = version, last

    async def _poll(self) -> None:
        while True:
            # Without waiters the task sleeps.
            await self._has_waiters.wait()
            await asyncio.sleep(POLL_SECONDS)
            if self._waiters:
                self.is_current()


_LAST = "SELECT coalesce(max(id), 0) FROM changes"
_SINCE = "SELECT user_id FROM changes WHERE id > ? AND id <= ?"


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def _has_triggers(connection: sqlite3.Connection) -> bool:
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    return {name for (name,) in names} >= TRIGGERS
