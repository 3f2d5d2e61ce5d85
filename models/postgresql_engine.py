"""Connections to PostgreSQL: only to the primary, with the session settings that the code needs."""

import math
import time
from collections.abc import Callable
from typing import Any

from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy import event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

# A server, database or role may have other defaults. Conditional UPDATEs and row locks need READ
# COMMITTED: at a stricter level the second of two writers would fail, and the check for the last
# admin would read a snapshot from before its lock.
_SETTINGS = {
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "standard_conforming_strings": "on",
    # The statement timeout bounds lock waits too.
    "lock_timeout": "0",
    # Idle connections stay in the pool.
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
}
# A process that is paused in a transaction keeps its locks for no longer than this.
_IDLE_IN_TRANSACTION_SECONDS = 60
# The timeout of the server is shorter than that of the driver. If the driver times out, the
# connection is dead.
_SERVER_SHARE = 0.9

# `synchronous_commit = off` would lose acknowledged sessions and revocations. Settings that this
# version of the server does not know are skipped.
_PREPARE = """
SELECT pg_is_in_recovery(), (
    SELECT count(set_config(name, value, false))
    FROM unnest($1::text[], $2::text[]) AS wanted(name, value)
    WHERE current_setting(name, true) IS NOT NULL
        AND (name <> 'synchronous_commit' OR current_setting(name) = 'off')
)
"""
_READ_ONLY = "25006"


class StandbyServer(OSError):
    """The server is a standby, which cannot write and may have outdated data."""


class ConnectionBroken(OSError):
    """The server closed a connection, and the driver raised an internal error."""


def connect(
    address: URL, connect_seconds: float, statement_seconds: float | None, **pool: Any
) -> AsyncEngine:
    """Returns the engine of a database. The first use connects.

    Statements have no timeout if `statement_seconds` is None. A connection to a standby raises
    StandbyServer.
    """
    engine = create_async_engine(
        address,
        # Errors must not contain parameters, such as password hashes, since they are logged.
        hide_parameters=True,
        # BEGIN sets it, so it also holds on connections that a pooler has changed.
        isolation_level="READ COMMITTED",
        connect_args={"timeout": connect_seconds, "command_timeout": statement_seconds},
        **pool,
    )
    settings = _settings(statement_seconds)

    def prepare(connection: Any, record: Any) -> None:
        _prepare(connection, record, settings)

    # Before the first queries of SQLAlchemy.
    event.listen(engine.sync_engine, "connect", prepare, insert=True)
    event.listen(engine.sync_engine, "close", _terminate)
    event.listen(engine.sync_engine, "handle_error", _invalidate_all)
    return engine


def replace_older_connections(engine: AsyncEngine, created_before: Callable[[], float]) -> None:
    """Replaces connections that were created before a time of the monotonic clock."""

    def check(_connection: object, record: Any, _proxy: object) -> None:
        if record.info["connected_at"] < created_before():
            raise DisconnectionError

    event.listen(engine.sync_engine, "checkout", check)


def _settings(statement_seconds: float | None) -> dict[str, str]:
    milliseconds = 0
    idle = 0
    if statement_seconds is not None:
        milliseconds = math.ceil(statement_seconds * _SERVER_SHARE * 1000)
        idle = _IDLE_IN_TRANSACTION_SECONDS * 1000
    return {
        **_SETTINGS,
        "statement_timeout": str(milliseconds),
        "idle_in_transaction_session_timeout": str(idle),
        "synchronous_commit": "on",
    }


def _prepare(connection: Any, record: Any, settings: dict[str, str]) -> None:
    names, values = list(settings), list(settings.values())
    try:
        standby, _ = connection.run_async(lambda driver: driver.fetchrow(_PREPARE, names, values))
    except (InterfaceError, InternalClientError, PostgresError) as error:
        # SQLAlchemy does not translate errors of the driver here.
        connection.driver_connection.terminate()
        raise ConnectionBroken(type(error).__name__) from error
    if standby:
        connection.driver_connection.terminate()
        raise StandbyServer("the server is a standby")
    record.info["connected_at"] = time.monotonic()


def _terminate(connection: Any, _record: object) -> None:
    # Not closed, which would wait for a server that may be gone. In a transaction the driver must
    # first send its request to cancel the statement.
    driver = connection.driver_connection
    if not driver.is_closed() and not driver.is_in_transaction():
        driver.terminate()


def _invalidate_all(context: ExceptionContext) -> OSError | None:
    """Replaces all connections of the pool if one times out or its server is read-only.

    Returns the error to raise instead, or None.
    """
    error = context.original_exception
    if isinstance(error, TimeoutError) or getattr(error, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True
        # SQLAlchemy treats a TimeoutError as a cancellation and would keep the other connections.
        context.invalidate_pool_on_disconnect = True
    if isinstance(error, InternalClientError):
        # The state of the connection is unknown. SQLAlchemy does not handle this error.
        context.is_disconnect = True
        return ConnectionBroken(type(error).__name__)
    return None
