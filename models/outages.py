"""Turns the errors of an outage on each dialect into DatabaseUnavailable."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from models.waits import waiting


class DatabaseUnavailable(Exception):
    """The database is unreachable or did not answer in time."""

    event: ClassVar[str] = "database.unavailable"
    # For clients. The cause is only logged.
    message: ClassVar[str] = "The server cannot reach its database. Try again shortly."


@asynccontextmanager
async def unavailable_on_outage() -> AsyncIterator[None]:
    """Raises DatabaseUnavailable for errors of an outage. Wraps each use of the database."""
    try:
        with waiting():
            yield
    except (OSError, PoolTimeoutError) as error:
        raise DatabaseUnavailable(type(error).__name__) from error
    except DBAPIError as error:
        if not _is_outage(error):
            raise
        raise DatabaseUnavailable(_cause_of(error)) from error


# https://www.postgresql.org/docs/current/errcodes-appendix.html: connection exception, read-only,
# idle in a transaction or in one for too long, wrong user or password, no such database,
# transaction rollback (deadlock, serialization failure), insufficient resources, lock not
# available, operator intervention, system error. The transaction was rolled back and can be
# retried.
_OUTAGE_SQLSTATES = (
    *("08", "25006", "25P03", "25P04", "28", "3D", "40", "53", "55P03", "57", "58"),
)
_OUTAGE_SQLITE_CODES = frozenset(
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


def _cause_of(error: DBAPIError) -> str:
    """Returns the name of the error in the database: `SQLITE_FULL`, `DeadlockDetectedError`."""
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return getattr(original, "sqlite_errorname", type(original).__name__)
    # SQLAlchemy raises one class for all of them, from the error of the driver.
    cause = original.__cause__ if original is not None else None
    return type(cause or original).__name__


def _is_outage(error: DBAPIError) -> bool:
    original = error.orig
    if isinstance(original, sqlite3.Error):
        # The low byte is the primary code: https://www.sqlite.org/rescode.html
        return getattr(original, "sqlite_errorcode", 0) & 0xFF in _OUTAGE_SQLITE_CODES
    if error.connection_invalidated:
        return True
    sqlstate = getattr(original, "sqlstate", None) or ""
    return sqlstate.startswith(_OUTAGE_SQLSTATES)
