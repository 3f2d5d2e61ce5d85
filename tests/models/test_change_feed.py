"""The change feed: every commit is reported to the listeners of each process."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from structlog.testing import capture_logs

from models import postgresql_change_feed, sqlite_change_feed
from models.change_feed import DisconnectedChangeFeed
from models.database import Database
from models.user import User
from tests.accounts import ALICE, BOB
from tests.databases import FaultyProxy, wait_until

EVERYTHING = "everything"


class RecordingListener:
    """Records the changes that it receives."""

    def __init__(self) -> None:
        self.events: list[UUID | str] = []

    def user_changed(self, user_id: UUID) -> None:
        self.events.append(user_id)

    def everything_changed(self) -> None:
        self.events.append(EVERYTHING)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    db = Database.connect(database_url)
    yield db
    await db.close()


@pytest.fixture
async def other_process(database_url: str) -> AsyncIterator[Database]:
    """The database as another process uses it."""
    db = Database.connect(database_url)
    yield db
    await db.close()


@pytest.fixture
async def listener(db: Database) -> AsyncIterator[RecordingListener]:
    listener = RecordingListener()
    db.change_feed.add(listener)
    await db.change_feed.start()
    listener.events.clear()
    with db.change_feed.polling():
        yield listener


async def id_of(db: Database, username: str) -> UUID:
    async with db.read() as session:
        rows = await session.scalars(
            text("SELECT id FROM users WHERE username = :u"), {"u": username}
        )
        return UUID(str(rows.one()))


async def run(db: Database, *statements: str) -> None:
    async with db.begin() as tx:
        for statement in statements:
            await tx.execute(text(statement))


INSERT_SESSION = """INSERT INTO sessions (id, user_id, generation, created_at, last_used_at,
    idle_expires_at, expires_at) SELECT {id}, id, 0, created_at, created_at, created_at, created_at
    FROM users WHERE username = 'alice'"""


def insert_session(db: Database) -> str:
    id_ = "gen_random_uuid()" if db.dialect == "postgresql" else "hex(randomblob(16))"
    return INSERT_SESSION.format(id=id_)


CHANGES_OF_ALICE = [
    "UPDATE users SET disabled_at = CURRENT_TIMESTAMP WHERE username = 'alice'",
    "UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP",
    "DELETE FROM sessions",
    "DELETE FROM user_roles WHERE user_id = (SELECT id FROM users WHERE username = 'alice')",
    """INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id FROM users u, roles r
       WHERE u.username = 'alice' AND r.name = 'admin'""",
]
CHANGES_OF_EVERYTHING = [
    "UPDATE roles SET name = 'helper' WHERE name = 'support'",
    "DELETE FROM role_permissions WHERE permission = 'users:read'",
    "INSERT INTO role_permissions (role_id, permission) SELECT id, 'a:b' FROM roles",
    "UPDATE user_roles SET role_id = (SELECT id FROM roles WHERE name = 'auditor')",
    "DELETE FROM signing_keys",
]


@pytest.mark.parametrize("statement", CHANGES_OF_ALICE)
async def test_change_of_user_is_reported_with_id(
    db: Database, other_process: Database, listener: RecordingListener, statement: str
) -> None:
    await run(other_process, insert_session(other_process))
    await db.change_feed.catch_up()
    assert db.change_feed.is_current()
    listener.events.clear()
    await run(other_process, statement)
    await db.change_feed.catch_up()
    assert db.change_feed.is_current()
    assert listener.events == [await id_of(db, "alice")]


@pytest.mark.parametrize("statement", CHANGES_OF_EVERYTHING)
async def test_change_of_role_or_key_is_reported_as_everything(
    db: Database, other_process: Database, listener: RecordingListener, statement: str
) -> None:
    await run(other_process, INSERT_KEY)
    await db.change_feed.catch_up()
    assert db.change_feed.is_current()
    listener.events.clear()
    await run(other_process, statement)
    await db.change_feed.catch_up()
    assert db.change_feed.is_current()
    assert set(listener.events) == {EVERYTHING}


INSERT_KEY = """INSERT INTO signing_keys
    (kid, algorithm, encrypted_private_key, created_at, active_from)
    VALUES ('k', 'HS256', '', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"""


async def test_sqlite_feed_without_polling_reads_on_demand(
    sqlite_url: str,
) -> None:
    db, other_process, listener = (
        Database.connect(sqlite_url),
        Database.connect(sqlite_url),
        RecordingListener(),
    )
    db.change_feed.add(listener)
    await db.change_feed.start()
    with db.change_feed.polling():
        await asyncio.sleep(2 * sqlite_change_feed.POLL_SECONDS)
    await run(other_process, CHANGES_OF_ALICE[0])
    await asyncio.sleep(4 * sqlite_change_feed.POLL_SECONDS)
    assert listener.events == []
    assert db.change_feed.is_current()
    assert listener.events == [await id_of(db, "alice")]
    await db.close()
    await other_process.close()


async def test_deletion_of_user_is_reported(
    db: Database, other_process: Database, listener: RecordingListener
) -> None:
    alice = await id_of(db, "alice")
    await run(other_process, "DELETE FROM users WHERE username = 'alice'")
    await db.change_feed.catch_up()
    assert db.change_feed.is_current()
    assert set(listener.events) == {alice}


async def test_rolled_back_change_is_not_reported(
    db: Database, other_process: Database, listener: RecordingListener
) -> None:
    with pytest.raises(IntegrityError):
        await run(other_process, CHANGES_OF_ALICE[0], "INSERT INTO roles (id) VALUES (NULL)")
    await db.change_feed.catch_up()
    assert db.change_feed.is_current()
    assert listener.events == []


async def test_change_of_this_process_is_reported_after_commit(
    db: Database, listener: RecordingListener
) -> None:
    alice, bob = await id_of(db, ALICE.username), await id_of(db, BOB.username)
    await run(db, "UPDATE users SET full_name = 'X' WHERE username IN ('alice', 'bob')")
    assert db.change_feed.is_current()
    assert set(listener.events) == {alice, bob}


async def test_change_is_reported_while_polling(
    db: Database, other_process: Database, listener: RecordingListener
) -> None:
    await run(other_process, CHANGES_OF_ALICE[0])
    await wait_until(lambda: len(listener.events) == 1)


async def add_users(db: Database, count: int) -> None:
    async with db.begin() as tx:
        template = await tx.get_one(User, await id_of(db, "alice"))
        tx.add_all(
            User(username=f"user{n}", username_key=f"user{n}", created_at=template.created_at)
            for n in range(count)
        )


async def test_creation_of_user_is_not_reported(
    db: Database, other_process: Database, listener: RecordingListener
) -> None:
    await add_users(other_process, 3)
    await db.change_feed.catch_up()
    assert db.change_feed.is_current()
    assert listener.events == []


async def test_many_changes_are_reported_as_everything(
    db: Database, other_process: Database, listener: RecordingListener
) -> None:
    await add_users(other_process, 1001)
    await run(other_process, "UPDATE users SET full_name = 'X'")
    await db.change_feed.catch_up()
    assert db.change_feed.is_current()
    assert listener.events == [EVERYTHING]


async def test_sqlite_changes_are_pruned(sqlite_url: str) -> None:
    db = Database.connect(sqlite_url)
    await add_users(db, 700)
    await run(db, *["UPDATE users SET full_name = 'X'"] * 3)
    async with db.read() as session:
        assert (await session.scalar(text("SELECT count(*) FROM changes"))) == 1000
    await db.close()


async def test_unknown_payload_is_reported_as_everything(
    db: Database, other_process: Database, listener: RecordingListener
) -> None:
    by_hand = {
        "sqlite": "INSERT INTO changes (user_id) VALUES ('not an ID')",
        "postgresql": "SELECT pg_notify('postern_changes', 'not an ID')",
    }
    await run(other_process, by_hand[other_process.dialect])
    await db.change_feed.catch_up()
    assert db.change_feed.is_current()
    assert listener.events == [EVERYTHING]


async def test_feed_is_current_between_start_and_stop_only(db: Database) -> None:
    assert not db.change_feed.is_current()
    await db.change_feed.catch_up()
    await db.change_feed.start()
    assert db.change_feed.is_current()
    await db.change_feed.stop()
    assert not db.change_feed.is_current()


async def test_feed_with_missing_trigger_is_not_current(
    db: Database, other_process: Database
) -> None:
    on_table = " ON users" if db.dialect == "postgresql" else ""
    await run(other_process, f"DROP TRIGGER postern_users_updated{on_table}")
    with capture_logs() as logs:
        await db.change_feed.start()
    assert not db.change_feed.is_current()
    assert len(logs) == 1


async def test_feed_of_database_in_memory_is_not_current() -> None:
    db = Database.connect("sqlite://")
    await db.change_feed.start()
    assert isinstance(db.change_feed, DisconnectedChangeFeed)
    assert not db.change_feed.is_current()
    await db.close()


async def test_feed_that_cannot_be_read_is_not_current(sqlite_url: str) -> None:
    db = Database.connect(sqlite_url)
    await db.change_feed.start()
    await run(db, "DROP TABLE changes")
    assert not db.change_feed.is_current()
    await db.close()


# Lost connections on PostgreSQL


@pytest.fixture
async def proxy(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FaultyProxy]:
    monkeypatch.setattr(postgresql_change_feed, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(postgresql_change_feed, "HEARTBEAT_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(postgresql_change_feed, "CURRENT_FOR_SECONDS", 0.3)
    monkeypatch.setattr(postgresql_change_feed, "RECONNECT_AFTER_SECONDS", 0.05)
    async with FaultyProxy.to(postgresql_url) as proxy:
        yield proxy


@pytest.fixture
async def proxied(proxy: FaultyProxy) -> AsyncIterator[tuple[Database, RecordingListener]]:
    """A database that is connected through the proxy."""
    db, listener = Database.connect(proxy.url), RecordingListener()
    db.change_feed.add(listener)
    await db.change_feed.start()
    yield db, listener
    await db.close()


async def test_feed_reconnects_and_reports_everything(
    proxy: FaultyProxy, proxied: tuple[Database, RecordingListener]
) -> None:
    db, listener = proxied
    listener.events.clear()
    proxy.cut()
    await wait_until(lambda: not db.change_feed.is_current())
    await wait_until(db.change_feed.is_current)
    assert listener.events == [EVERYTHING]


def connection_was_lost(feed: postgresql_change_feed.PostgresqlChangeFeed) -> bool:
    return feed.lost_at > float("-inf")


async def test_feed_detects_stalled_connection(
    proxy: FaultyProxy, proxied: tuple[Database, RecordingListener]
) -> None:
    db, listener = proxied
    proxy.stall()
    await wait_until(lambda: not db.change_feed.is_current())
    # If the proxy recovered earlier, no change would be missed and none reported.
    assert isinstance(db.change_feed, postgresql_change_feed.PostgresqlChangeFeed)
    await wait_until(partial(connection_was_lost, db.change_feed))
    listener.events.clear()
    proxy.recover()
    await wait_until(db.change_feed.is_current)
    assert listener.events == [EVERYTHING]


async def test_catch_up_returns_if_connection_stalls(
    proxy: FaultyProxy, proxied: tuple[Database, RecordingListener]
) -> None:
    db, _ = proxied
    proxy.stall()
    async with asyncio.timeout(5):
        await db.change_feed.catch_up()
    assert not db.change_feed.is_current()


async def test_feed_connects_later_if_database_is_unavailable_at_start(proxy: FaultyProxy) -> None:
    proxy.refuse()
    db = Database.connect(proxy.url)
    await db.change_feed.start()
    assert not db.change_feed.is_current()
    proxy.recover()
    await wait_until(db.change_feed.is_current)
    await db.close()


async def test_terminated_listener_reconnects(
    proxy: FaultyProxy, proxied: tuple[Database, RecordingListener]
) -> None:
    db, listener = proxied
    listener.events.clear()
    await run(
        db,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE query LIKE '%pg_listening_channels%' AND pid <> pg_backend_pid()",
    )
    await wait_until(lambda: EVERYTHING in listener.events)
    await wait_until(db.change_feed.is_current)


async def test_unexpected_error_does_not_stop_feed(
    proxied: tuple[Database, RecordingListener], monkeypatch: pytest.MonkeyPatch
) -> None:
    db, _ = proxied
    assert isinstance(db.change_feed, postgresql_change_feed.PostgresqlChangeFeed)
    with monkeypatch.context() as broken:
        broken.setattr(postgresql_change_feed, "HEARTBEAT_TIMEOUT_SECONDS", "not a number")
        await db.change_feed.catch_up()
        await wait_until(partial(connection_was_lost, db.change_feed))
    await wait_until(db.change_feed.is_current)


async def test_feed_is_not_current_if_connection_does_not_listen(
    proxied: tuple[Database, RecordingListener],
) -> None:
    db, _ = proxied
    assert isinstance(db.change_feed, postgresql_change_feed.PostgresqlChangeFeed)
    await db.change_feed._connection.execute("UNLISTEN *")
    await db.change_feed.catch_up()
    assert not db.change_feed.is_current()
    await wait_until(db.change_feed.is_current)
