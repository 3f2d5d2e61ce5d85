"""The one handle to the database: it gives a read or a transaction, and hides the dialects."""

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
from models.changes import ChangeFeed, NoChanges
from models.outages import DatabaseUnavailable as DatabaseUnavailable  # noqa: PLC0414 - re-exported
from models.outages import unavailable_when_lost
from models.sqlite_changes import SqliteChanges
from models.sqlite_reads import SqliteReads
from models.uncancelled import finish

CONNECT_TIMEOUT_SECONDS = 5
STATEMENT_TIMEOUT_SECONDS = 10
# How long a command at the console waits for the writers of a SQLite file.
PATIENT_LOCK_SECONDS = 60

T = TypeVar("T")

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}

# The last for PgBouncer in transaction mode, which wants it to be 0.
_POSTGRESQL_OPTIONS = frozenset({"host", "port", "ssl", "prepared_statement_cache_size"})


class UnsupportedDatabase(ValueError):
    """The address is of no database that Postern can use."""


class Database:
    """SQLite or PostgreSQL behind three doors: `read`, `begin`, and `look_up` for a single query.

    Each use case opens its own and closes it before slow work. A session is never shared: fields
    that are resolved side by side would collide on it. `changes` hears what anybody commits.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        changes: ChangeFeed,
        reads: SqliteReads | None = None,
        *,
        turn_seconds: float = sqlite_engine.BUSY_TIMEOUT_SECONDS,
    ) -> None:
        """`reads` is of a SQLite file: one in memory has no second connection."""
        self._turn_seconds = turn_seconds
        self.engine = engine
        self.changes = changes
        self._reads_at_once = reads
        self.dialect = engine.dialect.name
        reading = engine.execution_options(postgresql_readonly=True)
        writing = engine.execution_options(sqlite_begin_immediate=True)
        # A query alone is a transaction already; without BEGIN and ROLLBACK it takes half as long.
        single = {"isolation_level": "AUTOCOMMIT"} if self.dialect == "postgresql" else {}
        self._single = engine.execution_options(**single)
        self._turn = asyncio.Lock() if self.dialect == "sqlite" else None
        self._reads = async_sessionmaker(reading, expire_on_commit=False, autoflush=False)
        self._writes = async_sessionmaker(writing, expire_on_commit=False)

    @classmethod
    def connect(cls, url: str, *, patient: bool = False) -> "Database":
        """Makes the handle; the first use connects.

        `patient` is for commands at the console: their statements may take as long as they need,
        and wait for locks. Raises UnsupportedDatabase, and DatabaseUnavailable for a file that
        cannot be made.
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
            return cls(engine, NoChanges(), turn_seconds=seconds)
        path = Path(str(address.database))
        _create_private_file(path)
        return cls(engine, SqliteChanges(path), SqliteReads(address), turn_seconds=seconds)

    @classmethod
    def _connect_postgresql(cls, address: URL, *, patient: bool) -> "Database":
        # asyncpg takes memory, and SQLite needs none of it.
        from models import postgresql_engine  # noqa: PLC0415
        from models.postgresql_changes import PostgresqlChanges  # noqa: PLC0415

        limits = CONNECT_TIMEOUT_SECONDS, None if patient else STATEMENT_TIMEOUT_SECONDS
        # The pool would hand the listening connection to others.
        changes = PostgresqlChanges(postgresql_engine.connect(address, *limits, poolclass=NullPool))
        pooled = postgresql_engine.connect(
            address, *limits, pool_size=10, max_overflow=0, pool_timeout=CONNECT_TIMEOUT_SECONDS
        )
        postgresql_engine.distrust_connections(pooled, lambda: changes.lost_at)
        return cls(pooled, changes)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """One consistent look at the data. Raises DatabaseUnavailable."""
        async with unavailable_when_lost(), _ended(self._reads()) as session:
            yield session

    async def look_up(
        self, query: Select[Any], values: Mapping[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        """The rows of one query that an index answers, few and at once. Raises DatabaseUnavailable.

        A query that may have to search is for `read`: on SQLite everybody else would wait for it.
        """
        if self._reads_at_once is not None:
            found = self._reads_at_once.read(query, values or {})
            if found is not None:
                return found
        async with unavailable_when_lost():
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
        """One transaction: committed at the end, rolled back by an exception.

        It ends whatever happens to the task: a cancellation in the block rolls it back, and one
        that arrives during the commit takes effect after it. After it, the caches of this process
        reflect its changes. Raises DatabaseUnavailable.
        """
        async with (
            unavailable_when_lost(),
            self._turn_to_write(),
            _ended(self._writes()) as session,
        ):
            yield session
            await finish(session.commit())
        await self.changes.catch_up()

    @asynccontextmanager
    async def _turn_to_write(self) -> AsyncIterator[None]:
        # SQLite lets one write at a time; those who wait ask it again and again, whoever came
        # first. Within this process they form a queue instead, and hold no connection meanwhile.
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
        """Runs synchronous work (a migration) in one transaction. Raises DatabaseUnavailable."""
        async with self.begin() as session:
            connection = await session.connection()
            return await connection.run_sync(work)

    async def lock(self, session: AsyncSession, name: str) -> None:
        """Lets one transaction at a time past this line, whatever the process or machine.

        SQLite needs nothing: its write transactions are one at a time already.
        """
        if self.dialect == "postgresql":
            await session.execute(
                text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name}
            )

    async def try_lock(self, session: AsyncSession, name: str) -> bool:
        """Takes the same lock for the transaction, unless somebody has it: then it is False."""
        if self.dialect != "postgresql":
            return True
        got = await session.scalar(
            text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name}
        )
        return bool(got)

    async def close(self) -> None:
        """Closes every connection."""
        await self.changes.stop()
        if self._reads_at_once is not None:
            self._reads_at_once.close()
        await self.engine.dispose()


def parse_url(url: str) -> URL:
    """Reads a database address and chooses the driver. Raises UnsupportedDatabase."""
    try:
        address = make_url(url)
        address = address.set(drivername=_DRIVERS[address.drivername])
    except (ArgumentError, KeyError, ValueError):
        # The address itself stays out of the message: it may hold a password.
        raise UnsupportedDatabase(
            "the database address must look like sqlite:///path or"
            " postgresql://user:password@host/name"
        ) from None
    if address.get_backend_name() == "postgresql":
        return _with_known_options(address)
    return address


def _with_known_options(address: URL) -> URL:
    # libpq and those who hand out addresses call it `sslmode`; the driver does not.
    options = {"ssl" if name == "sslmode" else name: v for name, v in address.query.items()}
    if not options.keys() <= _POSTGRESQL_OPTIONS:
        raise UnsupportedDatabase(
            "after the ? the database address may have only host, port, sslmode and"
            " prepared_statement_cache_size"
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
    """Connects the session, and gives its connection back whatever happens to the task."""
    try:
        # Within `finish`: a connection that is cut off while it is made would never be closed.
        await finish(session.connection())
        yield session
    except asyncio.CancelledError:
        # Its last statement may still be running.
        await finish(session.invalidate())
        raise
    finally:
        await finish(session.close())
