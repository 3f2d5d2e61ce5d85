"""Whoever commits, and however: each process hears whose rows have changed."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from structlog.testing import capture_logs

from models import postgresql_changes, sqlite_changes
from models.changes import NoChanges
from models.database import Database
from models.user import User
from tests.accounts import ALICE, BOB
from tests.databases import FaultyProxy, wait_until

EVERYTHING = "everything"


class Notes:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.heard: list[UUID | str] = []

    def user_changed(self, user_id: UUID) -> None:
        self.heard.append(user_id)

    def everything_changed(self) -> None:
        self.heard.append(EVERYTHING)


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    db = Database.connect(database_url)
    yield db
    await db.close()


@pytest.fixture
async def stranger(database_url: str) -> AsyncIterator[Database]:
    """Another process, which nobody here knows of."""
    db = Database.connect(database_url)
    yield db
    await db.close()


@pytest.fixture
async def notes(db: Database) -> AsyncIterator[Notes]:
    notes = Notes()
    db.changes.add(notes)
    await db.changes.start()
    notes.heard.clear()
    with db.changes.awaited():
        yield notes


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


A_SESSION = """INSERT INTO sessions (id, user_id, generation, created_at, last_used_at,
    idle_expires_at, expires_at) SELECT {id}, id, 0, created_at, created_at, created_at, created_at
    FROM users WHERE username = 'alice'"""


def a_session(db: Database) -> str:
    id_ = "gen_random_uuid()" if db.dialect == "postgresql" else "hex(randomblob(16))"
    return A_SESSION.format(id=id_)


OF_ALICE = [
    "UPDATE users SET disabled_at = CURRENT_TIMESTAMP WHERE username = 'alice'",
    "UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP",
    "DELETE FROM sessions",
    "DELETE FROM user_roles WHERE user_id = (SELECT id FROM users WHERE username = 'alice')",
    """INSERT INTO user_roles (user_id, role_id) SELECT u.id, r.id FROM users u, roles r
       WHERE u.username = 'alice' AND r.name = 'admin'""",
]
OF_EVERYBODY = [
    "UPDATE roles SET name = 'helper' WHERE name = 'support'",
    "DELETE FROM role_permissions WHERE permission = 'users:read'",
    "INSERT INTO role_permissions (role_id, permission) SELECT id, 'a:b' FROM roles",
    "UPDATE user_roles SET role_id = (SELECT id FROM roles WHERE name = 'auditor')",
    "DELETE FROM signing_keys",
]


@pytest.mark.parametrize("statement", OF_ALICE)
async def test_a_change_of_a_user_is_heard_with_the_id(
    db: Database, stranger: Database, notes: Notes, statement: str
) -> None:
    await run(stranger, a_session(stranger))
    await db.changes.catch_up()
    assert db.changes.is_current()
    notes.heard.clear()
    await run(stranger, statement)
    await db.changes.catch_up()
    assert db.changes.is_current()
    assert notes.heard == [await id_of(db, "alice")]


@pytest.mark.parametrize("statement", OF_EVERYBODY)
async def test_a_change_of_a_role_or_a_key_concerns_everybody(
    db: Database, stranger: Database, notes: Notes, statement: str
) -> None:
    await run(stranger, _A_KEY)
    await db.changes.catch_up()
    assert db.changes.is_current()
    notes.heard.clear()
    await run(stranger, statement)
    await db.changes.catch_up()
    assert db.changes.is_current()
    assert set(notes.heard) == {EVERYTHING}


_A_KEY = """INSERT INTO signing_keys
    (kid, algorithm, encrypted_private_key, created_at, active_from)
    VALUES ('k', 'HS256', '', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"""


async def test_while_nobody_waits_a_file_is_not_looked_at_until_somebody_asks(
    sqlite_url: str,
) -> None:
    db, stranger, notes = Database.connect(sqlite_url), Database.connect(sqlite_url), Notes()
    db.changes.add(notes)
    await db.changes.start()
    with db.changes.awaited():
        await asyncio.sleep(2 * sqlite_changes.POLL_SECONDS)
    await run(stranger, OF_ALICE[0])
    await asyncio.sleep(4 * sqlite_changes.POLL_SECONDS)
    assert notes.heard == []
    assert db.changes.is_current()
    assert notes.heard == [await id_of(db, "alice")]
    await db.close()
    await stranger.close()


async def test_a_deleted_user_is_heard(db: Database, stranger: Database, notes: Notes) -> None:
    alice = await id_of(db, "alice")
    await run(stranger, "DELETE FROM users WHERE username = 'alice'")
    await db.changes.catch_up()
    assert db.changes.is_current()
    assert set(notes.heard) == {alice}


async def test_what_was_rolled_back_is_not_heard(
    db: Database, stranger: Database, notes: Notes
) -> None:
    with pytest.raises(IntegrityError):
        await run(stranger, OF_ALICE[0], "INSERT INTO roles (id) VALUES (NULL)")
    await db.changes.catch_up()
    assert db.changes.is_current()
    assert notes.heard == []


async def test_ones_own_change_is_heard_when_the_transaction_is_over(
    db: Database, notes: Notes
) -> None:
    alice, bob = await id_of(db, ALICE.username), await id_of(db, BOB.username)
    await run(db, "UPDATE users SET full_name = 'X' WHERE username IN ('alice', 'bob')")
    assert db.changes.is_current()
    assert set(notes.heard) == {alice, bob}


async def test_somebody_who_only_waits_hears_as_well(
    db: Database, stranger: Database, notes: Notes
) -> None:
    await run(stranger, OF_ALICE[0])
    await wait_until(lambda: len(notes.heard) == 1)


async def add_users(db: Database, count: int) -> None:
    async with db.begin() as tx:
        template = await tx.get_one(User, await id_of(db, "alice"))
        tx.add_all(
            User(username=f"user{n}", username_key=f"user{n}", created_at=template.created_at)
            for n in range(count)
        )


async def test_a_new_user_is_no_news(db: Database, stranger: Database, notes: Notes) -> None:
    await add_users(stranger, 3)
    await db.changes.catch_up()
    assert db.changes.is_current()
    assert notes.heard == []


async def test_more_changes_than_can_be_told_one_by_one_are_told_as_everything(
    db: Database, stranger: Database, notes: Notes
) -> None:
    await add_users(stranger, 1001)
    await run(stranger, "UPDATE users SET full_name = 'X'")
    await db.changes.catch_up()
    assert db.changes.is_current()
    assert notes.heard == [EVERYTHING]


async def test_the_list_of_changes_stays_short(sqlite_url: str) -> None:
    db = Database.connect(sqlite_url)
    await add_users(db, 700)
    await run(db, *["UPDATE users SET full_name = 'X'"] * 3)
    async with db.read() as session:
        assert (await session.scalar(text("SELECT count(*) FROM changes"))) == 1000
    await db.close()


async def test_a_change_of_whom_nobody_knows_may_be_anybodys(
    db: Database, stranger: Database, notes: Notes
) -> None:
    by_hand = {
        "sqlite": "INSERT INTO changes (user_id) VALUES ('somebody')",
        "postgresql": "SELECT pg_notify('postern_changes', 'somebody')",
    }
    await run(stranger, by_hand[stranger.dialect])
    await db.changes.catch_up()
    assert db.changes.is_current()
    assert notes.heard == [EVERYTHING]


async def test_nothing_is_current_before_the_start_and_after_the_end(db: Database) -> None:
    assert not db.changes.is_current()
    await db.changes.catch_up()
    await db.changes.start()
    assert db.changes.is_current()
    await db.changes.stop()
    assert not db.changes.is_current()


async def test_a_missing_trigger_makes_nothing_current(db: Database, stranger: Database) -> None:
    on_table = " ON users" if db.dialect == "postgresql" else ""
    await run(stranger, f"DROP TRIGGER postern_users_updated{on_table}")
    with capture_logs() as logs:
        await db.changes.start()
    assert not db.changes.is_current()
    assert len(logs) == 1


async def test_a_database_in_memory_is_never_current() -> None:
    db = Database.connect("sqlite://")
    await db.changes.start()
    assert isinstance(db.changes, NoChanges)
    assert not db.changes.is_current()
    await db.close()


async def test_a_list_that_cannot_be_read_makes_nothing_current(sqlite_url: str) -> None:
    db = Database.connect(sqlite_url)
    await db.changes.start()
    await run(db, "DROP TABLE changes")
    assert not db.changes.is_current()
    await db.close()


# PostgreSQL: the line can be cut, and it can go silent.


@pytest.fixture
async def line(postgresql_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FaultyProxy]:
    monkeypatch.setattr(postgresql_changes, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr(postgresql_changes, "HEARTBEAT_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(postgresql_changes, "TRUSTED_FOR_SECONDS", 0.3)
    monkeypatch.setattr(postgresql_changes, "RECONNECT_AFTER_SECONDS", 0.05)
    async with FaultyProxy.to(postgresql_url) as line:
        yield line


@pytest.fixture
async def far(line: FaultyProxy) -> AsyncIterator[tuple[Database, Notes]]:
    """A database behind that line."""
    db, notes = Database.connect(line.url), Notes()
    db.changes.add(notes)
    await db.changes.start()
    yield db, notes
    await db.close()


async def test_a_line_that_is_cut_is_made_again_and_everything_may_have_changed(
    line: FaultyProxy, far: tuple[Database, Notes]
) -> None:
    db, notes = far
    notes.heard.clear()
    line.cut()
    await wait_until(lambda: not db.changes.is_current())
    await wait_until(db.changes.is_current)
    assert notes.heard == [EVERYTHING]


def connection_is_lost(changes: postgresql_changes.PostgresqlChanges) -> bool:
    return changes._connection is None


async def test_a_silent_line_is_noticed(line: FaultyProxy, far: tuple[Database, Notes]) -> None:
    db, notes = far
    line.stall()
    await wait_until(lambda: not db.changes.is_current())
    # Should the line speak again in time, nothing would have been missed, and nothing be told.
    assert isinstance(db.changes, postgresql_changes.PostgresqlChanges)
    await wait_until(partial(connection_is_lost, db.changes))
    notes.heard.clear()
    line.recover()
    await wait_until(db.changes.is_current)
    assert notes.heard == [EVERYTHING]


async def test_nobody_waits_for_ever_on_a_silent_line(
    line: FaultyProxy, far: tuple[Database, Notes]
) -> None:
    db, _ = far
    line.stall()
    async with asyncio.timeout(5):
        await db.changes.catch_up()
    assert not db.changes.is_current()


async def test_a_database_that_is_away_at_the_start_is_found_later(line: FaultyProxy) -> None:
    line.refuse()
    db = Database.connect(line.url)
    await db.changes.start()
    assert not db.changes.is_current()
    line.recover()
    await wait_until(db.changes.is_current)
    await db.close()


async def test_a_killed_listener_comes_back(line: FaultyProxy, far: tuple[Database, Notes]) -> None:
    db, notes = far
    notes.heard.clear()
    await run(
        db,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE query LIKE '%pg_listening_channels%' AND pid <> pg_backend_pid()",
    )
    await wait_until(lambda: EVERYTHING in notes.heard)
    await wait_until(db.changes.is_current)


async def test_an_error_that_nobody_foresaw_does_not_end_the_listening(
    far: tuple[Database, Notes], monkeypatch: pytest.MonkeyPatch
) -> None:
    db, _ = far
    assert isinstance(db.changes, postgresql_changes.PostgresqlChanges)
    with monkeypatch.context() as broken:
        broken.setattr(db.changes, "_prove", lambda _connection: 1 / 0)
        await db.changes.catch_up()
        await wait_until(partial(connection_is_lost, db.changes))
    await wait_until(db.changes.is_current)


async def test_a_server_that_answers_but_does_not_listen_is_not_believed(
    far: tuple[Database, Notes],
) -> None:
    db, _ = far
    assert isinstance(db.changes, postgresql_changes.PostgresqlChanges)
    await db.changes._connection.execute("UNLISTEN *")
    await db.changes.catch_up()
    assert not db.changes.is_current()
    await wait_until(db.changes.is_current)
