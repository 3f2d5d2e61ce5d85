"""Whose rows have changed, on SQLite: triggers write it down, and every use looks.

`PRAGMA data_version` costs microseconds and tells whether any connection of any process has
committed; only then the rows that the triggers wrote are read.
https://www.sqlite.org/pragma.html#pragma_data_version
"""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from models.changes import TRIGGERS, ChangeFeed

log = structlog.get_logger("postern.models")

# For those who wait for a change without asking for anything.
POLL_SECONDS = 0.05


class SqliteChanges(ChangeFeed):
    """Hears of commits to one SQLite file. To be used on the thread of the event loop only."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._version = 0
        self._heard_until = 0
        self._polling: asyncio.Task[None] | None = None
        self._waiting = 0
        self._somebody_waits = asyncio.Event()
        self._heard_in_this_turn = False

    async def start(self) -> None:
        """Opens a connection of its own."""
        connection = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        if not _has_triggers(connection):
            connection.close()
            log.error("change_feed.triggers_missing", consequence="every request asks the database")
            return
        connection.execute("PRAGMA query_only = ON")
        self._version = _version(connection)
        (self._heard_until,) = connection.execute(_LAST).fetchone()
        self._connection = connection
        self._polling = asyncio.create_task(self._poll())

    async def stop(self) -> None:
        """Closes the connection."""
        if self._polling:
            self._polling.cancel()
        if self._connection:
            self._connection.close()
            self._connection = None

    def is_current(self) -> bool:
        """Looks for commits, and tells of them; once per turn of the event loop.

        Whoever asks within one turn came before it began: nobody can have sent their request after
        a commit that this look did not see.
        """
        if self._connection is None:
            return False
        if self._heard_in_this_turn:
            return True
        try:
            self._hear(self._connection)
        except sqlite3.Error:
            # Somebody holds the whole file (a VACUUM, a recovery). What was not read now is read
            # next time.
            return False
        self._heard_in_this_turn = True
        asyncio.get_running_loop().call_soon(self._begin_next_turn)
        return True

    def _begin_next_turn(self) -> None:
        self._heard_in_this_turn = False

    @contextmanager
    def awaited(self) -> Iterator[None]:
        """Looks by itself meanwhile."""
        self._waiting += 1
        self._somebody_waits.set()
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._somebody_waits.clear()

    async def catch_up(self) -> None:
        """Needs nothing: `is_current` looks itself."""

    def _hear(self, connection: sqlite3.Connection) -> None:
        version = _version(connection)
        if version == self._version:
            return
        (last,) = connection.execute(_LAST).fetchone()
        rows = connection.execute(_SINCE, (self._heard_until, last)).fetchall()
        if len(rows) != last - self._heard_until or (None,) in rows:
            # The oldest rows are gone, or the file is another one.
            self._tell_everything()
        else:
            for whose in {user_id for (user_id,) in rows}:
                self._tell(str(whose))
        self._version, self._heard_until = version, last

    async def _poll(self) -> None:
        while True:
            # A process that nobody uses sleeps.
            await self._somebody_waits.wait()
            await asyncio.sleep(POLL_SECONDS)
            if self._waiting:
                self.is_current()


_LAST = "SELECT coalesce(max(id), 0) FROM changes"
_SINCE = "SELECT user_id FROM changes WHERE id > ? AND id <= ?"


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    return int(version)


def _has_triggers(connection: sqlite3.Connection) -> bool:
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    return {name for (name,) in names} >= TRIGGERS
