"""The database handle: a read or a transaction, and an honest word when it cannot be reached."""

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError, StatementError

from models.base import uuid7
from models.database import Database, DatabaseUnavailable, UnsupportedDatabase, parse_url
from models.user import User
from tests.people import BEGINNING


def carol(**values: object) -> dict[str, object]:
    return {
        "id": uuid7(),
        "username": "carol",
        "username_key": "carol",
        "created_at": BEGINNING,
        **values,
    }


async def add_carol(db: Database, **values: object) -> None:
    async with db.begin() as tx:
        await tx.execute(insert(User), [carol(**values)])


async def count_users(db: Database) -> int:
    async with db.read() as session:
        return int((await session.execute(text("SELECT count(*) FROM users"))).scalar_one())


async def delete_everybody(db: Database) -> None:
    async with db.read() as session:
        await session.execute(text("DELETE FROM users"))


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database.connect(database_url)
    yield database
    await database.close()


async def test_an_exception_undoes_the_transaction(db: Database) -> None:
    before = await count_users(db)
    with suppress(ZeroDivisionError):
        async with db.begin() as tx:
            await tx.execute(insert(User), [carol()])
            raise ZeroDivisionError
    assert await count_users(db) == before


async def test_two_transactions_wait_for_each_other(db: Database) -> None:
    async def add(name: str) -> None:
        async with db.begin() as tx:
            await tx.execute(text("SELECT 1"))
            await asyncio.sleep(0.01)
            await tx.execute(insert(User), [carol(username=name, username_key=name)])

    before = await count_users(db)
    await asyncio.gather(*(add(f"user{n}") for n in range(8)))
    assert await count_users(db) == before + 8


async def test_reads_side_by_side_do_not_collide(db: Database) -> None:
    assert len(set(await asyncio.gather(*(count_users(db) for _ in range(30))))) == 1


async def test_an_instant_comes_back_as_it_went_in(db: Database) -> None:
    row = carol()
    async with db.begin() as tx:
        await tx.execute(insert(User), [row])
    async with db.read() as session:
        user = await session.get_one(User, row["id"])
    assert user.created_at == BEGINNING
    assert user.created_at.tzinfo is not None


async def test_a_datetime_without_a_zone_is_refused(db: Database) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - that is the point
    with pytest.raises(StatementError, match="not an instant"):
        await add_carol(db, created_at=naive)


async def test_an_error_does_not_tell_the_values(db: Database) -> None:
    with pytest.raises(DBAPIError) as raised:
        await add_carol(db, username_key="alice", password_hash="$secret-hash$")
    assert "$secret-hash$" not in str(raised.value)


async def test_names_are_compared_by_code_point_on_each_database(db: Database) -> None:
    order = text("SELECT username_key FROM users ORDER BY username_key")
    async with db.begin() as tx:
        await tx.execute(insert(User), [carol(username_key="\U0010ffff"), carol(username_key="Z")])
    async with db.read() as session:
        keys = list(await session.scalars(order))
    assert keys == sorted(keys)


async def test_postgresql_reads_cannot_write(request: pytest.FixtureRequest) -> None:
    templates = request.getfixturevalue("postgresql_templates")
    db = Database.connect(await templates.new())
    with pytest.raises(DatabaseUnavailable):
        await delete_everybody(db)
    await db.close()


async def test_sqlite_is_private_and_set_up(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "postern.db"
    db = Database.connect(f"sqlite:///{path}")
    async with db.begin() as tx:
        assert await tx.scalar(text("PRAGMA journal_mode")) == "wal"
        assert await tx.scalar(text("PRAGMA foreign_keys")) == 1
        await tx.execute(text("CREATE TABLE t (x)"))
        modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    await db.close()
    assert modes == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_lock_that_does_not_end_is_told(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.database.SQLITE_BUSY_TIMEOUT_SECONDS", 0.1)
    holder, waiter = Database.connect(sqlite_url), Database.connect(sqlite_url)
    async with holder.begin() as tx:
        await tx.execute(text("SELECT 1"))
        with pytest.raises(DatabaseUnavailable):
            await add_carol(waiter)
        assert await count_users(waiter) > 0
    await holder.close()
    await waiter.close()


@pytest.mark.parametrize(
    "url",
    ["postgresql://postgres@127.0.0.1:1/none", "postgresql://postgres@/none?host=/nowhere"],
)
async def test_a_database_that_is_not_there_is_unavailable(url: str) -> None:
    db = Database.connect(url)
    with pytest.raises(DatabaseUnavailable):
        await count_users(db)
    await db.close()


async def test_a_database_of_no_such_name_is_unavailable(request: pytest.FixtureRequest) -> None:
    templates = request.getfixturevalue("postgresql_templates")
    db = Database.connect(templates.url("no_such_database"))
    with pytest.raises(DatabaseUnavailable):
        await count_users(db)
    await db.close()


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///x.db", "sqlite+aiosqlite"),
        ("postgres://u:p@h/d", "postgresql+asyncpg"),
        ("postgresql://u:p@h/d", "postgresql+asyncpg"),
    ],
)
def test_the_driver_is_ours_to_choose(url: str, driver: str) -> None:
    assert parse_url(url).drivername == driver


@pytest.mark.parametrize("url", ["", "mysql://root:hunter2@h/d", "not a url hunter2"])
def test_another_database_is_refused_without_telling_the_password(url: str) -> None:
    with pytest.raises(UnsupportedDatabase) as refused:
        parse_url(url)
    assert "hunter2" not in str(refused.value)
