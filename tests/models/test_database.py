"""The database handle: reads, transactions, locks, timeouts and outages."""

import asyncio
import sqlite3
import stat
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, closing, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from models.base import uuid7
from models.database import Database, DatabaseUnavailable, UnsupportedDatabase, parse_url
from models.role import UserRole
from models.user import User
from tests.accounts import CREATED_AT
from tests.databases import PostgresqlTemplates


def carol(**values: object) -> dict[str, object]:
    return {
        "id": uuid7(),
        "username": "carol",
        "username_key": "carol",
        "created_at": CREATED_AT,
        **values,
    }


async def add_carol(db: Database, **values: object) -> None:
    async with db.begin() as tx:
        await tx.execute(insert(User), [carol(**values)])


# More rows than a cursor prefetches.
_MANY_ROWS = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10000)
SELECT username FROM users, numbers
"""


async def count_users(db: Database) -> int:
    async with db.read() as session:
        return int((await session.execute(text("SELECT count(*) FROM users"))).scalar_one())


async def delete_users(db: Database) -> None:
    async with db.read() as session:
        await session.execute(text("DELETE FROM users"))


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database.connect(database_url)
    yield database
    await database.close()


async def test_exception_rolls_back_transaction(db: Database) -> None:
    before = await count_users(db)
    with suppress(ZeroDivisionError):
        async with db.begin() as tx:
            await tx.execute(insert(User), [carol()])
            raise ZeroDivisionError
    assert await count_users(db) == before


async def test_second_transaction_waits_for_first(db: Database) -> None:
    async def add(name: str) -> None:
        async with db.begin() as tx:
            await tx.execute(text("SELECT 1"))
            await asyncio.sleep(0.01)
            await tx.execute(insert(User), [carol(username=name, username_key=name)])

    before = await count_users(db)
    await asyncio.gather(*(add(f"user{n}") for n in range(8)))
    assert await count_users(db) == before + 8


async def test_failed_statement_rolls_back_earlier_ones(db: Database) -> None:
    before = await count_users(db)
    with suppress(IntegrityError):
        async with db.begin() as tx:
            await tx.execute(insert(User), [carol()])
            await tx.execute(insert(User), [carol(username_key="alice")])
    assert await count_users(db) == before


async def test_cancelled_transaction_is_rolled_back_and_releases_locks(db: Database) -> None:
    before = await count_users(db)

    async def add_and_wait() -> None:
        async with db.begin() as tx:
            await tx.execute(insert(User), [carol()])
            await asyncio.sleep(60)

    adding = asyncio.create_task(add_and_wait())
    await asyncio.sleep(0.1)
    adding.cancel()
    await asyncio.wait([adding])
    await add_carol(db)
    assert await count_users(db) == before + 1


async def test_cancelled_read_leaves_no_old_snapshot_in_the_pool(
    db: Database, database_url: str
) -> None:
    before = await count_users(db)
    started = asyncio.Event()
    # Unfinished statements, as if they were not garbage-collected yet.
    kept: list[object] = []

    async def read_slowly() -> None:
        async with db.read() as session:
            rows = await session.stream(text(_MANY_ROWS))
            kept.append(rows)
            async for _ in rows:
                started.set()
                await asyncio.sleep(60)

    reading = asyncio.create_task(read_slowly())
    await started.wait()
    reading.cancel()
    await asyncio.wait([reading])
    other = Database.connect(database_url)
    await add_carol(other)
    await other.close()
    assert await count_users(db) == before + 1


class Paused:
    """Makes a step of the driver wait once, until its task was cancelled."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.driver: Any = None

    def hold(self, connection: Any, *_: object) -> None:
        if not self.started.is_set():
            connection.run_async(self._wait)

    def hold_transaction(self, connection: Connection) -> None:
        self.hold(connection.connection.dbapi_connection)

    async def _wait(self, driver: Any) -> None:
        self.driver = driver
        self.started.set()
        await asyncio.sleep(0.05)


async def cancel_in(paused: Paused, work: Coroutine[Any, Any, object]) -> None:
    task = asyncio.create_task(work)
    await paused.started.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_cancellation_during_the_commit_takes_effect_after_it(db: Database) -> None:
    before = await count_users(db)
    paused = Paused()
    event.listen(db.engine.sync_engine, "commit", paused.hold_transaction)
    await cancel_in(paused, add_carol(db))
    assert await count_users(db) == before + 1


async def test_cancellation_while_connecting_leaves_no_open_connection(db: Database) -> None:
    paused = Paused()
    event.listen(db.engine.sync_engine, "connect", paused.hold)
    await cancel_in(paused, count_users(db))
    assert is_closed(paused.driver)


async def test_cancellation_while_releasing_keeps_connection(db: Database) -> None:
    created: list[object] = []
    event.listen(db.engine.sync_engine, "connect", lambda *_: created.append(None))
    paused = Paused()
    event.listen(db.engine.sync_engine, "reset", paused.hold)
    await cancel_in(paused, count_users(db))
    await count_users(db)
    assert len(created) == 1


async def test_cancellation_at_end_of_look_up_keeps_connection(
    postgresql_url: str,
) -> None:
    db, created, paused = Database.connect(postgresql_url), list[object](), Paused()
    event.listen(db.engine.sync_engine, "connect", lambda *_: created.append(None))
    event.listen(db.engine.sync_engine, "reset", paused.hold)
    await cancel_in(paused, db.look_up(select(User.id)))
    await db.look_up(select(User.id))
    await db.close()
    assert len(created) == 1


def is_closed(driver: Any) -> bool:
    """Returns whether a connection of asyncpg or aiosqlite is closed."""
    return driver.is_closed() if hasattr(driver, "is_closed") else driver._connection is None


async def test_foreign_keys_are_enforced(db: Database) -> None:
    with pytest.raises(IntegrityError):
        async with db.begin() as tx:
            await tx.execute(insert(UserRole), [{"user_id": uuid7(), "role_id": uuid7()}])


async def test_role_of_a_user_cannot_be_deleted(db: Database) -> None:
    with pytest.raises(IntegrityError):
        async with db.begin() as tx:
            await tx.execute(text("DELETE FROM roles WHERE name = 'admin'"))


async def test_uncommitted_writes_are_not_read(
    db: Database,
) -> None:
    before = await count_users(db)
    async with db.begin() as tx:
        await tx.execute(insert(User), [carol()])
        assert await count_users(db) == before
    assert await count_users(db) == before + 1


async def test_concurrent_reads_succeed(db: Database) -> None:
    assert len(set(await asyncio.gather(*(count_users(db) for _ in range(30))))) == 1


async def test_datetime_round_trip(db: Database) -> None:
    row = carol()
    async with db.begin() as tx:
        await tx.execute(insert(User), [row])
    async with db.read() as session:
        user = await session.get_one(User, row["id"])
    assert user.created_at == CREATED_AT
    assert user.created_at.tzinfo is not None


async def test_naive_datetime_is_rejected(db: Database) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - that is the point
    with pytest.raises(StatementError, match="time zone"):
        await add_carol(db, created_at=naive)


async def test_error_does_not_contain_parameters(db: Database) -> None:
    with pytest.raises(DBAPIError) as raised:
        await add_carol(db, username_key="alice", password_hash="$secret-hash$")
    assert "$secret-hash$" not in str(raised.value)


async def test_key_text_is_compared_by_code_point(db: Database) -> None:
    order = text("SELECT username_key FROM users ORDER BY username_key")
    async with db.begin() as tx:
        await tx.execute(insert(User), [carol(username_key="\U0010ffff"), carol(username_key="Z")])
    async with db.read() as session:
        keys = list(await session.scalars(order))
    assert keys == sorted(keys)


@pytest.fixture
async def postgresql_url(postgresql_templates: PostgresqlTemplates) -> AsyncIterator[str]:
    url = postgresql_templates.new()
    yield url
    postgresql_templates.give_back(url)


@pytest.fixture
async def postgresql(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Database]:
    """PostgreSQL with short timeouts."""
    monkeypatch.setattr("models.database.CONNECT_TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr("models.database.STATEMENT_TIMEOUT_SECONDS", 0.5)
    database = Database.connect(postgresql_url)
    yield database
    await database.close()


async def test_postgresql_reads_cannot_write(postgresql: Database) -> None:
    before = await count_users(postgresql)
    with pytest.raises(DatabaseUnavailable):
        await delete_users(postgresql)
    assert await count_users(postgresql) == before


async def lose_the_connection(db: Database) -> None:
    async with db.begin() as tx:
        own = await tx.scalar(text("SELECT pg_backend_pid()"))
        async with db.begin() as killer:
            await killer.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own})
        await tx.execute(text("SELECT 1"))


async def test_lost_connection_raises_and_next_one_works(
    postgresql: Database,
) -> None:
    with pytest.raises(DatabaseUnavailable):
        await lose_the_connection(postgresql)
    assert await count_users(postgresql) > 0


async def test_slow_statement_times_out(postgresql: Database) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with postgresql.read() as session:
            await session.execute(text("SELECT pg_sleep(30)"))
    assert await count_users(postgresql) > 0


async def test_exhausted_pool_raises(postgresql: Database) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(10):
            await (await stack.enter_async_context(postgresql.read())).connection()
        with pytest.raises(DatabaseUnavailable):
            await count_users(postgresql)
    assert await count_users(postgresql) > 0


async def test_other_errors_are_not_outages(db: Database) -> None:
    with pytest.raises(DBAPIError):
        async with db.read() as session:
            await session.execute(text("SELECT nonsense FROM nowhere"))


async def test_lock_is_exclusive_per_name(postgresql: Database) -> None:
    async with postgresql.begin() as tx:
        await postgresql.lock(tx, "one")
        async with postgresql.begin() as other:
            await postgresql.lock(other, "another")
        with pytest.raises(DatabaseUnavailable):
            async with postgresql.begin() as same:
                await postgresql.lock(same, "one")


async def test_sqlite_file_is_private_and_in_wal_mode(tmp_path: Path) -> None:
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


async def test_held_sqlite_lock_raises(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.sqlite_engine.BUSY_TIMEOUT_SECONDS", 0.1)
    holder, waiter = Database.connect(sqlite_url), Database.connect(sqlite_url)
    async with holder.begin() as tx:
        await tx.execute(text("SELECT 1"))
        with pytest.raises(DatabaseUnavailable):
            await add_carol(waiter)
        assert await count_users(waiter) > 0
    await holder.close()
    await waiter.close()


@pytest.mark.parametrize("path", ["file/below.db", "folder"])
def test_file_that_cannot_be_created_is_unavailable(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(DatabaseUnavailable):
        Database.connect(f"sqlite:///{tmp_path / path}")


async def test_file_that_is_not_a_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("milk, bread, butter " * 100)
    db = Database.connect(f"sqlite:///{tmp_path / 'notes.db'}")
    with pytest.raises(DatabaseUnavailable):
        await count_users(db)
    await db.close()


@contextmanager
def held(path: Path) -> Iterator[sqlite3.Connection]:
    """Locks a new file for writing. SQLite does not wait for the lock in this case."""
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield holder


async def ask(db: Database) -> None:
    async with db.read() as session:
        await session.execute(text("SELECT 1"))


async def test_locked_new_file_is_waited_for(tmp_path: Path) -> None:
    db = Database.connect(f"sqlite:///{tmp_path / 'new.db'}")
    with held(tmp_path / "new.db") as holder:
        asking = asyncio.create_task(ask(db))
        await asyncio.sleep(0.1)
        assert not asking.done()
        holder.execute("COMMIT")
        await asking
    await db.close()


async def test_new_file_locked_for_too_long_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.sqlite_engine.BUSY_TIMEOUT_SECONDS", 0.1)
    db = Database.connect(f"sqlite:///{tmp_path / 'new.db'}")
    with held(tmp_path / "new.db"), pytest.raises(DatabaseUnavailable):
        await ask(db)
    await db.close()


def files_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_sqlite_in_memory_creates_no_file(tmp_path: Path) -> None:
    db = Database.connect("sqlite:///:memory:")
    async with db.read() as session:
        assert await session.scalar(text("SELECT 1")) == 1
    await db.close()
    assert files_in(tmp_path) == []


@pytest.mark.parametrize(
    "url",
    ["postgresql://postgres@127.0.0.1:1/none", "postgresql://postgres@/none?host=/nowhere"],
)
async def test_unreachable_database_is_unavailable(url: str) -> None:
    db = Database.connect(url)
    with pytest.raises(DatabaseUnavailable):
        await count_users(db)
    await db.close()


async def test_unknown_database_is_unavailable(
    postgresql_templates: PostgresqlTemplates,
) -> None:
    db = Database.connect(postgresql_templates.url("no_such_database"))
    with pytest.raises(DatabaseUnavailable):
        await count_users(db)
    await db.close()


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///x.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:///x.db", "sqlite+aiosqlite"),
        ("postgres://u:p@h/d", "postgresql+asyncpg"),
        ("postgresql+asyncpg://u:p@h/d?host=/run", "postgresql+asyncpg"),
        ("postgresql://u:p@h/d", "postgresql+asyncpg"),
    ],
)
def test_parse_url_chooses_driver(url: str, driver: str) -> None:
    assert parse_url(url).drivername == driver


def test_parse_url_accepts_sslmode() -> None:
    assert parse_url("postgres://u:p@h/d?sslmode=require").query == {"ssl": "require"}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://root:hunter2@h/d",
        "not a url hunter2",
        "postgresql+psycopg2://u:hunter2@h/d",
        "postgresql://u:hunter2@h:port/d",
        "postgresql://u:hunter2@h/d?pool_size=hunter2",
        "postgresql://u:p@h/d?sslmode=require&password=hunter2",
    ],
)
def test_unsupported_url_is_rejected_without_password(url: str) -> None:
    with pytest.raises(UnsupportedDatabase) as refused:
        parse_url(url)
    assert "hunter2" not in str(refused.value)


async def test_sqlite_writers_queue_in_order(
    sqlite_url: str,
) -> None:
    db = Database.connect(sqlite_url)
    order: list[int] = []

    async def write(number: int) -> None:
        async with db.begin() as tx:
            await tx.execute(text("UPDATE roles SET description = description"))
            order.append(number)

    # As many as there are connections in the pool.
    await asyncio.gather(*(write(number) for number in range(40)))
    await db.close()
    assert order == list(range(40))


async def test_sqlite_writer_that_waits_too_long_raises(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.sqlite_engine.BUSY_TIMEOUT_SECONDS", 0.1)
    db = Database.connect(sqlite_url)
    async with db.begin():
        with pytest.raises(DatabaseUnavailable):
            async with db.begin():
                raise AssertionError("two at once")
    await db.close()
