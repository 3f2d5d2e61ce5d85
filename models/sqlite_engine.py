"""Connections to SQLite: WAL mode, foreign keys, and transactions that wait for locks."""

import sqlite3
import time
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

BUSY_TIMEOUT_SECONDS = 5


def connect(address: URL, busy_seconds: float) -> AsyncEngine:
    """Returns the engine of a file or of a database in memory. The first use connects."""
    engine = create_async_engine(
        address,
        hide_parameters=True,
        connect_args={"timeout": busy_seconds, "factory": RollingBackConnection},
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


class RollingBackConnection(sqlite3.Connection):
    """Rolls back when it is closed.

    If a connection is closed with an unfinished statement, SQLite keeps it and its write lock until
    the statement is garbage-collected. https://www.sqlite.org/c3ref/close.html
    """

    def close(self) -> None:
        """Rolls back and closes. It may be called twice, if a cleanup was interrupted."""
        try:
            if self.in_transaction:
                self.rollback()
        except sqlite3.ProgrammingError:
            # Already closed.
            pass
        finally:
            super().close()


def _prepare(connection: Any, _record: object) -> None:
    # Otherwise the driver would start transactions: too late for reads, and not IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    _switch_to_wal(cursor)
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _switch_to_wal(cursor: Any) -> None:
    # The timeout of SQLite does not apply here. If two servers start together on a new file, one
    # would fail immediately with SQLITE_BUSY.
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
        else:
            return


def _begin(connection: Connection) -> None:
    # A transaction that reads before it writes cannot wait for another writer: it fails with
    # SQLITE_BUSY. With BEGIN IMMEDIATE it takes the write lock first and can wait.
    writes = connection.get_execution_options().get("sqlite_begin_immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
