"""`look_up`: one fast query, on SQLite without another thread."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import bindparam, column, insert, literal, select, table, text, update
from sqlalchemy.exc import DBAPIError

from models.base import uuid7
from models.database import Database, DatabaseUnavailable
from models.user import User
from tests.accounts import CREATED_AT

NAMES = select(User.username).order_by(User.id).limit(bindparam("limit"))
UNREACHABLE_DATABASE = "postgresql://postgres@127.0.0.1:1/none"


async def names(db: Database) -> list[str]:
    return [row.username for row in await db.look_up(NAMES, {"limit": 10})]


async def add_carol(db: Database) -> None:
    values = {"username": "carol", "username_key": "carol", "created_at": CREATED_AT}
    async with db.begin() as tx:
        await tx.execute(insert(User), [{"id": uuid7(), **values}])


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database.connect(database_url)
    yield database
    await database.close()


@pytest.fixture
async def other_process(database_url: str) -> AsyncIterator[Database]:
    database = Database.connect(database_url)
    yield database
    await database.close()


@pytest.fixture
async def file(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """A SQLite file with a short lock timeout."""
    monkeypatch.setattr("models.sqlite_engine.BUSY_TIMEOUT_SECONDS", 0.1)
    database = Database.connect(sqlite_url)
    yield database
    await database.close()


def path_of(db: Database) -> Path:
    return Path(str(db.engine.url.database))


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection outside of Postern."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        yield connection


async def test_look_up_sees_commits_of_other_connections(
    db: Database, other_process: Database
) -> None:
    before = await names(db)
    await add_carol(other_process)
    assert await names(db) == [*before, "carol"]


async def test_look_up_does_not_see_uncommitted_writes(
    db: Database, other_process: Database
) -> None:
    before = await names(db)
    async with other_process.begin() as tx:
        await tx.execute(update(User).values(full_name="x", username="x"))
        assert await names(db) == before


async def test_concurrent_look_ups_succeed(db: Database) -> None:
    assert len(set(map(str, await asyncio.gather(*(names(db) for _ in range(30)))))) == 1


async def test_look_up_raises_errors_of_query(db: Database) -> None:
    with pytest.raises(DBAPIError):
        await db.look_up(select(column("nonsense")).select_from(table("nowhere")))
    assert await names(db)


async def test_look_up_in_unreachable_database_is_unavailable() -> None:
    db = Database.connect(UNREACHABLE_DATABASE)
    with pytest.raises(DatabaseUnavailable):
        await names(db)
    await db.close()


async def test_look_up_works_in_memory() -> None:
    db = Database.connect("sqlite://")
    ((one,),) = await db.look_up(select(literal(1)))
    assert one == 1
    await db.close()


async def test_look_up_in_other_file_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("milk, bread, butter " * 100)
    db = Database.connect(f"sqlite:///{tmp_path / 'notes.db'}")
    with pytest.raises(DatabaseUnavailable):
        await names(db)
    await db.close()


async def test_look_up_does_not_wait_for_writers(file: Database) -> None:
    with connected(path_of(file)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE users SET username = 'x'")
        assert "alice" in await names(file)


async def test_look_up_in_exclusively_locked_file_is_unavailable(
    file: Database,
) -> None:
    with connected(path_of(file)) as owner:
        owner.execute("PRAGMA locking_mode = EXCLUSIVE")
        owner.execute("UPDATE users SET version = version + 1")
        with pytest.raises(DatabaseUnavailable):
            await names(file)
    assert "alice" in await names(file)


async def test_look_up_that_waits_does_not_block_event_loop(
    file: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.sqlite_engine.BUSY_TIMEOUT_SECONDS", 5)
    with connected(path_of(file)) as owner:
        owner.execute("PRAGMA locking_mode = EXCLUSIVE")
        owner.execute("UPDATE users SET version = version + 1")
        asking = asyncio.create_task(names(file))
        await asyncio.sleep(0.05)
        assert not asking.done()
    assert "alice" in await asking


async def test_look_up_does_not_prevent_checkpoint(file: Database) -> None:
    await add_carol(file)
    await names(file)
    with connected(path_of(file)) as other:
        (busy, _, _) = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0


async def test_failed_look_up_does_not_prevent_checkpoint(file: Database) -> None:
    await names(file)
    with pytest.raises(DBAPIError):
        await file.look_up(select(text("json('{') FROM users")))
    await add_carol(file)
    with connected(path_of(file)) as other:
        (busy, _, _) = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    assert busy == 0


async def test_closed_database_holds_no_file(file: Database) -> None:
    await names(file)
    await file.close()
    assert not path_of(file).with_name(path_of(file).name + "-wal").exists()
