"""Migrations, and the version of the tables."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Integer,
    MetaData,
    Table,
    Uuid,
    column,
    inspect,
    select,
    table,
    text,
)

import postern
from models import schema_state as tables
from models.base import UtcDateTime, uuid7
from models.database import Database
from models.invitation import Invitation
from models.migrate import drift, upgrade
from models.schema_state import MIGRATIONS, SchemaState, known_revisions, schema_state
from models.user import User
from tests.accounts import CREATED_AT
from tests.databases import PostgresqlTemplates


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    templates: PostgresqlTemplates = request.getfixturevalue("postgresql_templates")
    url = templates.empty()
    yield url
    templates.give_back(url)


@pytest.fixture
async def empty(empty_url: str) -> AsyncIterator[Database]:
    db = Database.connect(empty_url)
    yield db
    await db.close()


async def set_version(db: Database, version: str) -> None:
    async with db.begin() as tx:
        await tx.execute(
            text("UPDATE postern_alembic_version SET version_num = :v"), {"v": version}
        )


async def role_names(db: Database) -> list[str]:
    async with db.read() as session:
        return list(await session.scalars(text("SELECT name FROM roles ORDER BY name")))


async def test_migrated_tables_match_models(empty: Database) -> None:
    await upgrade(empty)
    assert await empty.run(drift) == []


async def test_drift_reports_changed_table(empty: Database) -> None:
    await upgrade(empty)
    async with empty.begin() as tx:
        await tx.execute(text("DROP INDEX ix_users_disabled"))
        await tx.execute(text("ALTER TABLE users ADD COLUMN shoe_size INTEGER"))
    assert len(await empty.run(drift)) == 2


def test_migration_file_names_start_with_revision() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    assert list(known_revisions()) == [r.revision for r in script.walk_revisions()][::-1]


def test_known_revisions_are_those_of_running_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = known_revisions()
    # Another version was installed over the files.
    monkeypatch.setattr(tables, "MIGRATIONS", tmp_path)
    assert known_revisions() == known


async def test_second_migration_changes_nothing(empty: Database) -> None:
    await upgrade(empty)
    await upgrade(empty)
    assert await schema_state(empty) is SchemaState.CURRENT
    assert await role_names(empty) == ["admin", "auditor", "support", "user"]


async def test_concurrent_migrations_take_turns(empty: Database, empty_url: str) -> None:
    other = Database.connect(empty_url)
    await asyncio.gather(upgrade(empty), upgrade(other))
    await other.close()
    assert await schema_state(empty) is SchemaState.CURRENT
    assert await role_names(empty) == ["admin", "auditor", "support", "user"]


async def test_failed_migration_is_rolled_back(empty: Database) -> None:
    async with empty.begin() as tx:
        await tx.execute(text("CREATE TABLE sessions (x INTEGER)"))
    with pytest.raises(Exception, match="sessions"):
        await upgrade(empty)
    async with empty.begin() as tx:
        await tx.execute(text("CREATE TABLE users (x INTEGER)"))


async def test_schema_state_of_empty_database_creates_no_tables(empty: Database) -> None:
    assert await schema_state(empty) is SchemaState.BEHIND
    async with empty.begin() as tx:
        await tx.execute(text("CREATE TABLE postern_alembic_version (x INTEGER)"))


@pytest.mark.parametrize(
    ("version", "state"),
    [("0001", SchemaState.BEHIND), ("9999", SchemaState.AHEAD), ("", SchemaState.AHEAD)],
)
async def test_schema_state_distinguishes_newer_and_older_schema(
    empty: Database, version: str, state: SchemaState
) -> None:
    await upgrade(empty)
    await set_version(empty, version)
    assert await schema_state(empty) is state


def upgrade_to(connection: Connection, revision: str) -> None:
    """Applies the migrations up to a revision."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def test_migration_gives_temporary_passwords_seven_days(empty: Database) -> None:
    await empty.run(partial(upgrade_to, revision="0012"))
    before = datetime.now(UTC)
    users = table(
        "users",
        *(column("id", Uuid), column("username"), column("username_key")),
        *(column("created_at", UtcDateTime), column("password_is_temporary", Boolean)),
    )
    async with empty.begin() as tx:
        for name, temporary in (("lasting", False), ("temporary", True)):
            names = {"username": name, "username_key": name}
            row = names | {"id": uuid7(), "created_at": CREATED_AT}
            await tx.execute(users.insert().values(row | {"password_is_temporary": temporary}))
    await upgrade(empty)
    query = select(User.username, User.temporary_password_expires_at)
    async with empty.read() as session:
        expiries = {row.username: row[1] for row in await session.execute(query)}
    assert expiries["lasting"] is None
    expires_at = expiries["temporary"]
    assert expires_at
    assert before < expires_at - timedelta(days=7) < datetime.now(UTC)


async def test_migration_finds_inviters_in_the_audit_log(empty: Database) -> None:
    inviter, invited, from_console, unknown = (str(uuid7()) for _ in range(4))
    await empty.run(lambda connection: _upgrade_to(connection, "0011"))
    async with empty.begin() as tx:
        for number, invitation in enumerate((invited, from_console, unknown)):
            email = f"{number}@example.com"
            await tx.execute(_INVITATION, {"id": _id(empty, invitation), "email": email})
        for invitation, actor in ((invited, inviter), (from_console, None)):
            event = {
                "id": _id(empty, str(uuid7())),
                "actor": actor and _id(empty, actor),
                "details": json.dumps({"invitation_id": invitation}),
            }
            await tx.execute(_EVENT, event)
    await upgrade(empty)
    async with empty.read() as session:
        rows = {str(row.id): row for row in await session.scalars(select(Invitation))}
    assert {id_: (str(row.invited_by), row.from_console) for id_, row in rows.items()} == {
        invited: (inviter, False),
        from_console: ("None", True),
        unknown: ("None", False),
    }


_INVITATION = text(
    "INSERT INTO invitations (id, email, email_key, created_at, expires_at)"
    " VALUES (:id, :email, :email, '2026-01-01 00:00:00', '2026-01-08 00:00:00')"
)
_EVENT = text(
    "INSERT INTO audit_events (id, at, action, succeeded, actor_id, details)"
    " VALUES (:id, '2026-01-01 00:00:00', 'invitation.created', true, :actor, :details)"
)


def _id(db: Database, text_: str) -> object:
    """Returns an ID as the database stores it."""
    return UUID(text_) if db.dialect == "postgresql" else text_.replace("-", "")


def _upgrade_to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


async def version_tables(db: Database) -> dict[str, str]:
    def read(connection: Connection) -> dict[str, str]:
        names = [n for n in inspect(connection).get_table_names() if "alembic" in n]
        return {
            name: str(connection.execute(text(f"SELECT version_num FROM {name}")).scalar())
            for name in names
        }

    return await db.run(read)


async def write_version_as_before_0_2_0(db: Database, version: str) -> None:
    async with db.begin() as tx:
        await tx.execute(text("DROP TABLE IF EXISTS postern_alembic_version"))
        await tx.execute(
            text(
                "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL,"
                " CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
            )
        )
        await tx.execute(text("INSERT INTO alembic_version VALUES (:v)"), {"v": version})


async def test_version_moves_once_into_its_own_table(empty: Database) -> None:
    newest = known_revisions()[-1]
    await upgrade(empty)
    await write_version_as_before_0_2_0(empty, newest)
    assert await schema_state(empty) is SchemaState.BEHIND
    await upgrade(empty)
    assert await version_tables(empty) == {"postern_alembic_version": newest}
    assert await schema_state(empty) is SchemaState.CURRENT


async def test_version_table_of_application_is_not_changed(empty: Database) -> None:
    await write_version_as_before_0_2_0(empty, "0003")
    await upgrade(empty)
    newest = known_revisions()[-1]
    assert await version_tables(empty) == {
        "alembic_version": "0003",
        "postern_alembic_version": newest,
    }
    await upgrade(empty)
    assert (await version_tables(empty))["alembic_version"] == "0003"


def own_tables() -> MetaData:
    """The tables of an application, one of which refers to the users of Postern."""
    metadata = MetaData()
    Table(
        "notes",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("owner_id", ForeignKey(postern.users.c.id, ondelete="CASCADE")),
    )
    return metadata


async def test_autogenerate_of_application_ignores_tables_of_postern(
    empty: Database,
) -> None:
    await upgrade(empty)

    def differences(connection: Connection) -> list[Any]:
        options = {"include_name": postern.include_name}
        return list(
            compare_metadata(MigrationContext.configure(connection, opts=options), own_tables())
        )

    ((act, table),) = await empty.run(differences)
    assert (act, table.name) == ("add_table", "notes")
    await empty.run(own_tables().tables["notes"].create)
    assert await empty.run(differences) == []
    assert await empty.run(drift) == []
