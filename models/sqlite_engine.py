"""How connections to a SQLite file begin: in WAL mode, and with transactions that can wait."""

import sqlite3
import time
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

BUSY_TIMEOUT_SECONDS = 5


def connect(address: URL, busy_seconds: float) -> AsyncEngine:
    """The engine of a file, or of a database in memory; the first use connects."""
    engine = create_async_engine(
        address,
        hide_parameters=True,
        connect_args={"timeout": busy_seconds, "factory": _RollingBack},
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


class _RollingBack(sqlite3.Connection):
    """Ends its transaction when it is closed.

    SQLite keeps a connection that is closed with an unfinished statement until the statement is
    garbage, and with it the write lock. https://www.sqlite.org/c3ref/close.html
    """

    def close(self) -> None:
        """Rolls back, then closes. May be called twice, as when a clean-up was cut short."""
        try:
            if self.in_transaction:
                self.rollback()
        except sqlite3.ProgrammingError:
            # It is closed already.
            pass
        finally:
            super().close()


def _prepare(connection: Any, _record: object) -> None:
    # The driver would open transactions on its own, too late for reads and never IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    _switch_to_wal(cursor)
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    # SQLite's own timeout does not hold here: of two servers that start together on a new file,
    # one would be told at once that it is locked.
    give_up_at = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= give_up_at:
                raise
        else:
            return


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later cannot wait for another writer: it fails at
    # once with SQLITE_BUSY. Taking the write lock first makes it wait instead.
    writes = connection.get_execution_options().get("sqlite_begin_immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
