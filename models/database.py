"""The database handle: reads, transactions and locks on SQLite and PostgreSQL."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Row, Select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
)
from sqlalchemy.pool import NullPool

from models import sqlite_engine
from models.cancellation import finish
from models.change_feed import ChangeFeed, DisconnectedChangeFeed
from models.outages import DatabaseUnavailable as DatabaseUnavailable  # noqa: PLC0414 - re-exported
from models.outages import unavailable_on_outage
from models.sqlite_change_feed import SqliteChangeFeed
from models.sqlite_reads import SqliteReads

CONNECT_TIMEOUT_SECONDS = 5
STATEMENT_TIMEOUT_SECONDS = 10
# How long commands wait for other writers of a SQLite file.
PATIENT_LOCK_SECONDS = 60

T = TypeVar("T")

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}

# PgBouncer in transaction mode needs `prepared_statement_cache_size=0`.
_POSTGRESQL_OPTIONS = frozenset({"host", "port", "ssl", "prepared_statement_cache_size"})


class UnsupportedDatabase(ValueError):
    """The URL does not name a supported database."""


class Database:
    """A SQLite or PostgreSQL database: `read`, `begin` for transactions, `look_up` for one query.

    Each use case opens its own database session and closes it before slow work. Sessions are not
    shared, since fields that resolve concurrently would use them at the same time. `change_feed`
    reports commits.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        change_feed: ChangeFeed,
        reads: SqliteReads | None = None,
        *,
        turn_seconds: float = sqlite_engine.BUSY_TIMEOUT_SECONDS,
    ) -> None:
        """`reads` is set for a SQLite file only: a database in memory has a single connection."""
        self._turn_seconds = turn_seconds
        self.engine = engine
        self.change_feed = change_feed
        self._sqlite_reads = reads
        self.dialect = engine.dialect.name
        reading = engine.execution_options(postgresql_readonly=True)
        writing = engine.execution_options(sqlite_begin_immediate=True)
        # For one query. Without BEGIN and ROLLBACK it takes half the time.
        single = {"isolation_level": "AUTOCOMMIT"} if self.dialect == "postgresql" else {}
        self._single = engine.execution_options(**single)
        self._turn = asyncio.Lock() if self.dialect == "sqlite" else None
        self._reads = async_sessionmaker(reading, expire_on_commit=False, autoflush=False)
        self._writes = async_sessionmaker(writing, expire_on_commit=False)

    @classmethod
    def connect(cls, url: str, *, patient: bool = False) -> "Database":
        """Returns a handle. The first use connects.

        `patient` is for commands: their statements have no timeout and wait for locks. Raises
        UnsupportedDatabase, and DatabaseUnavailable if a file cannot be created.
        """
        address = parse_url(url)
        if address.get_backend_name() == "sqlite":
            return cls._connect_sqlite(address, patient=patient)
        return cls._connect_postgresql(address, patient=patient)

    @classmethod
    def _connect_sqlite(cls, address: URL, *, patient: bool) -> "Database":
        seconds = PATIENT_LOCK_SECONDS if patient else sqlite_engine.BUSY_TIMEOUT_SECONDS
        engine = sqlite_engine.connect(address, seconds)
        if _is_in_memory(address):
            return cls(engine, DisconnectedChangeFeed(), turn_seconds=seconds)
        path = Path(str(address.database))
        _create_private_file(path)
        return cls(engine, SqliteChangeFeed(path), SqliteReads(address), turn_seconds=seconds)

    @classmethod
    def _connect_postgresql(cls, address: URL, *, patient: bool) -> "Database":
        # Imported here, since asyncpg takes memory that SQLite does not need.
        from models import postgresql_engine  # noqa: PLC0415
        from models.postgresql_change_feed import PostgresqlChangeFeed  # noqa: PLC0415

        limits = CONNECT_TIMEOUT_SECONDS, None if patient else STATEMENT_TIMEOUT_SECONDS
        # Without a pool, so that the listening connection is not used for anything else.
        feed = PostgresqlChangeFeed(postgresql_engine.connect(address, *limits, poolclass=NullPool))
        pooled = postgresql_engine.connect(
            address, *limits, pool_size=10, max_overflow=0, pool_timeout=CONNECT_TIMEOUT_SECONDS
        )
        postgresql_engine.replace_older_connections(pooled, lambda: feed.lost_at)
        return cls(pooled, feed)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Opens a read-only session. Raises DatabaseUnavailable."""
        async with unavailable_on_outage(), _ended(self._reads()) as session:
            yield session

    async def look_up(
        self, query: Select[Any], values: Mapping[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        """Returns the rows of one fast query that uses an index. Raises DatabaseUnavailable.

        Use `read` for slower queries: on SQLite this blocks the event loop.
        """
        if self._sqlite_reads is not None:
            found = self._sqlite_reads.read(query, values or {})
            if found is not None:
                return found
        async with unavailable_on_outage():
            return await finish(self._look_up(query, values))

    async def _look_up(
        self, query: Select[Any], values: Mapping[str, Any] | None
    ) -> Sequence[Row[Any]]:
        connection = await self._single.connect()
        try:
            rows: Sequence[Row[Any]] = (await connection.execute(query, values)).all()
            return rows
        finally:
            await connection.close()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """Opens a transaction: commits at the end, rolls back if the block raises.

        A cancellation in the block rolls it back. A cancellation during the commit takes effect
        after the commit. When the context ends, the caches of this process reflect the changes.
        Raises DatabaseUnavailable.
        """
        async with (
            unavailable_on_outage(),
            self._write_turn(),
            _ended(self._writes()) as session,
        ):
            yield session
            await finish(session.commit())
        await self.change_feed.catch_up()

    @asynccontextmanager
    async def _write_turn(self) -> AsyncIterator[None]:
        # SQLite has one writer at a time, and waiting writers poll in no order. Within this process
        # they form a queue and hold no connection while they wait.
        if self._turn is None:
            yield
            return
        async with asyncio.timeout(self._turn_seconds):
            await self._turn.acquire()
        try:
            yield
        finally:
            self._turn.release()

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Runs synchronous work (a migration) in a transaction. Raises DatabaseUnavailable."""
        async with self.begin() as session:
            connection = await session.connection()
            return await connection.run_sync(work)

    async def lock(self, session: AsyncSession, name: str) -> None:
        """Takes a lock until the end of the transaction, across all processes.

        Does nothing on SQLite, which has one write transaction at a time.
        """
        if self.dialect == "postgresql":
            await session.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name}
            )

    async def try_lock(self, session: AsyncSession, name: str) -> bool:
        """Takes the lock. Returns False if another transaction holds it."""
        if self.dialect != "postgresql":
            return True
        taken = await session.scalar(
            text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name}
        )
        return bool(taken)

    async def close(self) -> None:
        """Closes every connection."""
        await self.change_feed.stop()
        if self._sqlite_reads is not None:
            self._sqlite_reads.close()
        await self.engine.dispose()


def parse_url(url: str) -> URL:
    """Parses a database URL and chooses the driver. Raises UnsupportedDatabase."""
    try:
        address = make_url(url)
        address = address.set(drivername=_DRIVERS[address.drivername])
    except (ArgumentError, KeyError, ValueError):
        # The message must not contain the URL, which may hold a password.
        raise UnsupportedDatabase(
            "the database URL must look like sqlite:///path or postgresql://user:password@host/name"
        ) from None
    if address.get_backend_name() == "postgresql":
        return _with_known_options(address)
    return address


def _with_known_options(address: URL) -> URL:
    # libpq and hosting providers use `sslmode`, and the driver uses `ssl`.
    options = {"ssl" if name == "sslmode" else name: v for name, v in address.query.items()}
    if not options.keys() <= _POSTGRESQL_OPTIONS:
        raise UnsupportedDatabase(
            "the database URL has an unknown option: only host, port, sslmode and"
            " prepared_statement_cache_size are supported"
        )
    return address.set(query=options)


def _is_in_memory(address: URL) -> bool:
    return not address.database or address.database == ":memory:"


def _create_private_file(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # SQLite gives its -wal and -shm files the mode of the main file.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise DatabaseUnavailable(type(error).__name__) from error


@asynccontextmanager
async def _ended(session: AsyncSession) -> AsyncIterator[AsyncSession]:
    """Connects the session, and always releases its connection."""
    try:
        # A connection whose creation is cancelled would never be closed.
        await finish(session.connection())
        yield session
    except asyncio.CancelledError:
        # Its last statement may still be running.
        await finish(session.invalidate())
        raise
    finally:
        await finish(session.close())
