"""How connections to PostgreSQL begin: on the primary, with the settings that the rules rely on."""

import math
import time
from collections.abc import Callable
from typing import Any

from asyncpg import InterfaceError, InternalClientError, PostgresError
from sqlalchemy import event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

# A server, a database or a role may have other defaults. READ COMMITTED is what conditional UPDATEs
# and row locks rely on: with a stricter level the second of two writers would fail, and the check
# for the last admin would read a snapshot from before it got its lock.
_SETTINGS = {
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "standard_conforming_strings": "on",
    # The statement timeout bounds this wait too.
    "lock_timeout": "0",
    # Idle connections stay in the pool.
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
}
# A process that is stopped in a transaction does not keep its locks for longer.
_IDLE_IN_TRANSACTION_SECONDS = 60
# The server gives up before the driver does: if it does not answer even then, the line is dead.
_SERVER_SHARE = 0.9

# `off` would lose sessions and revocations that were acknowledged. Names that this version of the
# server does not know are left out.
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
    """The server is a standby: it cannot write, and what it reads may be out of date."""


class ConnectionBroken(OSError):
    """The server ended a connection at a moment for which the driver has no proper error."""


def connect(
    address: URL, connect_seconds: float, statement_seconds: float | None, **pool: Any
) -> AsyncEngine:
    """The engine of a database; the first use connects. Without a limit, statements may take long.

    A connection to a standby raises StandbyServer.
    """
    engine = create_async_engine(
        address,
        # An error's text holds no values: they may be password hashes, and end up in a log.
        hide_parameters=True,
        # BEGIN names it, so that a pooler's connection with other settings does not matter.
        isolation_level="READ COMMITTED",
        connect_args={"timeout": connect_seconds, "command_timeout": statement_seconds},
        **pool,
    )
    settings = _settings(statement_seconds)

    def prepare(connection: Any, record: Any) -> None:
        _prepare(connection, record, settings)

    # Before SQLAlchemy's own first queries.
    event.listen(engine.sync_engine, "connect", prepare, insert=True)
    event.listen(engine.sync_engine, "close", _hang_up)
    event.listen(engine.sync_engine, "handle_error", _invalidate_all)
    return engine


def distrust_connections(engine: AsyncEngine, made_before: Callable[[], float]) -> None:
    """Replaces each connection that was made before this moment of the monotonic clock."""

    def check(_connection: object, record: Any, _proxy: object) -> None:
        if record.info["connected_at"] < made_before():
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
        # Here SQLAlchemy does not turn the driver's errors into its own.
        connection.driver_connection.terminate()
        raise ConnectionBroken(type(error).__name__) from error
    if standby:
        connection.driver_connection.terminate()
        raise StandbyServer("the server is a standby")
    record.info["connected_at"] = time.monotonic()


def _hang_up(connection: Any, _record: object) -> None:
    # A polite end waits for a peer that may not be there. In a transaction the driver has to send
    # its request to cancel the statement first.
    driver = connection.driver_connection
    if not driver.is_closed() and not driver.is_in_transaction():
        driver.terminate()


def _invalidate_all(context: ExceptionContext) -> OSError | None:
    """Replaces every connection of the pool when one is silent, or its server became read-only.

    Returns the error to raise instead, if there is a better one.
    """
    error = context.original_exception
    if isinstance(error, TimeoutError) or getattr(error, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True
        # SQLAlchemy takes a TimeoutError for a cancelled task and would keep the other connections.
        context.invalidate_pool_on_disconnect = True
    if isinstance(error, InternalClientError):
        # The driver lost track of its connection, and SQLAlchemy does not know this error.
        context.is_disconnect = True
        return ConnectionBroken(type(error).__name__)
    return None
