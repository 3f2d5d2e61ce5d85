"""Connections to PostgreSQL: their settings, and when they are replaced."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from auth.errors import Refusal
from auth.user_access import disable_user
from models.database import Database, DatabaseUnavailable
from tests.accounts import ADMIN, ALICE, OPERATOR
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.databases import FaultyProxy

ISOLATION_LEVELS = ("read uncommitted", "repeatable read", "serializable")


async def set_default(url: str, name: str, value: str) -> None:
    """Changes a default of the database, for new connections."""
    connection = await asyncpg.connect(
        url, server_settings={"default_transaction_read_only": "off"}
    )
    try:
        database = await connection.fetchval("SELECT current_database()")
        await connection.execute(f"ALTER DATABASE {database} SET {name} = '{value}'")
    finally:
        await connection.close()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Database]:
    db = Database.connect(url)
    try:
        yield db
    finally:
        await db.close()


@pytest.mark.parametrize("level", ISOLATION_LEVELS)
async def test_isolation_level_is_read_committed_for_any_default(
    postgresql_url: str, level: str
) -> None:
    await set_default(postgresql_url, "default_transaction_isolation", level)
    query = text("SELECT current_setting('transaction_isolation')")
    async with connected(postgresql_url) as db:
        async with db.begin() as tx:
            assert await tx.scalar(query) == "read committed"
        async with db.read() as session:
            assert await session.scalar(query) == "read committed"
        (row,) = await db.look_up(query)  # type: ignore[arg-type] # plain SQL
        assert row == ("read committed",)


async def test_isolation_level_is_read_committed_on_a_connection_that_a_pooler_has_changed(
    postgresql_url: str,
) -> None:
    """In transaction mode, PgBouncer hands out connections with the settings of other clients."""
    query = text("SELECT current_setting('transaction_isolation')")
    async with connected(postgresql_url) as db:
        async with db.begin() as tx:
            await tx.execute(text("SET SESSION default_transaction_isolation = 'serializable'"))
        async with db.begin() as tx:
            default = text("SELECT current_setting('default_transaction_isolation')")
            assert await tx.scalar(default) == "serializable"
            assert await tx.scalar(query) == "read committed"
        async with db.read() as session:
            assert await session.scalar(query) == "read committed"


@pytest.mark.parametrize(
    ("name", "default", "expected"),
    [
        ("lock_timeout", "1ms", "0"),
        ("statement_timeout", "500ms", "9s"),
        ("idle_in_transaction_session_timeout", "1ms", "1min"),
        ("synchronous_commit", "off", "on"),
        ("synchronous_commit", "local", "local"),
        ("standard_conforming_strings", "off", "on"),
        ("default_transaction_deferrable", "on", "off"),
    ],
)
async def test_unsafe_database_settings_are_overridden(
    postgresql_url: str, name: str, default: str, expected: str
) -> None:
    await set_default(postgresql_url, name, default)
    async with connected(postgresql_url) as db, db.begin() as tx:
        assert await tx.scalar(text("SELECT current_setting(:name)"), {"name": name}) == expected


async def test_patient_connection_has_no_statement_timeout(postgresql_url: str) -> None:
    await set_default(postgresql_url, "statement_timeout", "500ms")
    db = Database.connect(postgresql_url, patient=True)
    async with db.begin() as tx:
        assert await tx.scalar(text("SELECT current_setting('statement_timeout')")) == "0"
    await db.close()


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
async def test_disabling_the_last_two_admins_at_once_leaves_one(
    postgresql_url: str, tmp_path: Path, clock: ManualClock, level: str
) -> None:
    await set_default(postgresql_url, "default_transaction_isolation", level)
    async with serving(make_settings(postgresql_url, tmp_path), clock) as api:
        admins = await two_admins(api)
        outcomes = await asyncio.gather(
            *(disable_user(api.auth, OPERATOR, user_id) for user_id in admins),
            return_exceptions=True,
        )
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(refused) == 1
    assert isinstance(refused[0], Refusal)


async def two_admins(api: Api) -> list[UUID]:
    async with api.auth.db.begin() as tx:
        await tx.execute(
            text(
                "INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id FROM users u, roles r"
                " WHERE u.username = 'alice' AND r.name = 'admin'"
            )
        )
        names = text("SELECT id FROM users WHERE username IN ('alice', 'admin')")
        return list(await tx.scalars(names))


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
async def test_concurrent_sign_ins_succeed_for_any_default_isolation_level(
    postgresql_url: str, tmp_path: Path, clock: ManualClock, level: str
) -> None:
    await set_default(postgresql_url, "default_transaction_isolation", level)
    async with serving(make_settings(postgresql_url, tmp_path), clock) as api:
        accounts = [ALICE, ADMIN] * 5
        assert all(await asyncio.gather(*(api.log_in(account) for account in accounts)))


async def test_deadlock_is_an_outage(postgresql_url: str) -> None:
    async def lock_both(first: str, second: str, both_have_one: asyncio.Barrier) -> None:
        async with db.begin() as tx:
            await db.lock(tx, first)
            await both_have_one.wait()
            await db.lock(tx, second)

    async with connected(postgresql_url) as db:
        barrier = asyncio.Barrier(2)
        outcomes = await asyncio.gather(
            lock_both("a", "b", barrier), lock_both("b", "a", barrier), return_exceptions=True
        )
    (lost,) = [outcome for outcome in outcomes if outcome is not None]
    assert isinstance(lost, DatabaseUnavailable)
    assert str(lost) == "DeadlockDetectedError"


async def test_lock_that_is_not_available_is_an_outage(postgresql_url: str) -> None:
    async with connected(postgresql_url) as db, db.begin() as holder:
        await holder.execute(text("UPDATE roles SET description = description"))
        with pytest.raises(DatabaseUnavailable, match="LockNotAvailableError"):
            async with db.begin() as tx:
                await tx.execute(text("SELECT * FROM roles FOR UPDATE NOWAIT"))


async def test_read_only_connections_are_all_replaced_at_first_failure(
    postgresql_url: str,
) -> None:
    await set_default(postgresql_url, "default_transaction_read_only", "on")
    async with connected(postgresql_url) as db:
        await hold_connections(db, 5)
        await set_default(postgresql_url, "default_transaction_read_only", "off")
        with pytest.raises(DatabaseUnavailable, match="ReadOnlySQLTransactionError"):
            await write(db)
        for _ in range(5):
            await write(db)
        await asyncio.gather(*(write(db) for _ in range(5)))


async def test_all_connections_are_replaced_if_one_times_out(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.database.STATEMENT_TIMEOUT_SECONDS", 1)
    async with FaultyProxy.to(postgresql_url) as line, connected(line.url) as db:
        before = await hold_connections(db, 5)
        line.stall()
        with pytest.raises(DatabaseUnavailable, match="TimeoutError"):
            await write(db)
        line.recover()
        after = await hold_connections(db, 5)
    assert len(before) == len(after) == 5
    assert not before & after


async def hold_connections(db: Database, count: int) -> set[int]:
    """Uses several connections at once. Returns the IDs of their server processes."""
    async with AsyncExitStack() as stack:
        sessions = [await stack.enter_async_context(db.read()) for _ in range(count)]
        query = text("SELECT pg_backend_pid()")
        return {(await session.execute(query)).scalar_one() for session in sessions}


async def write(db: Database) -> None:
    async with db.begin() as tx:
        await tx.execute(text("UPDATE roles SET description = description"))
