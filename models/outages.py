"""What an outage of the database looks like, on each dialect."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from models.waits import waiting


class DatabaseUnavailable(Exception):
    """The database cannot be reached, or did not answer in time. Nothing was decided."""


@asynccontextmanager
async def unavailable_when_lost() -> AsyncIterator[None]:
    """Around each use of the database: turns what an outage raises into DatabaseUnavailable."""
    try:
        with waiting():
            yield
    except (OSError, PoolTimeoutError) as error:
        raise DatabaseUnavailable(type(error).__name__) from error
    except DBAPIError as error:
        if not _is_lost(error):
            raise
        raise DatabaseUnavailable(type(error.orig).__name__) from error


# https://www.postgresql.org/docs/current/errcodes-appendix.html: connection exception, wrong
# user or password, no such database, insufficient resources, operator intervention, read-only
# (a standby after a failover).
_LOST_SQLSTATES = ("08", "28", "3D", "53", "57", "25006")
_LOST_SQLITE_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    }
)


def _is_lost(error: DBAPIError) -> bool:
    original = error.orig
    if isinstance(original, sqlite3.Error):
        # The low byte is the primary code: https://www.sqlite.org/rescode.html
        return getattr(original, "sqlite_errorcode", 0) & 0xFF in _LOST_SQLITE_CODES
    if error.connection_invalidated:
        return True
    sqlstate = getattr(original, "sqlstate", None) or ""
    return sqlstate.startswith(_LOST_SQLSTATES)
