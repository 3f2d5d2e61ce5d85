"""Compares the version of the tables with this code, without Alembic, which is large."""

from enum import Enum
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, column, inspect, select, table

from models.database import Database

MIGRATIONS = Path(__file__).parent / "migrations"
# A table of our own: `alembic_version` belongs to the application that shares the database.
VERSION_TABLE = "postern_alembic_version"


class SchemaState(Enum):
    """The version of the tables relative to this code."""

    CURRENT = "current"
    BEHIND = "behind"
    AHEAD = "ahead"


async def schema_state(db: Database) -> SchemaState:
    """Returns whether migrations are pending. Raises DatabaseUnavailable."""
    async with db.read() as session:
        connection = await session.connection()
        return await connection.run_sync(_schema_state)


@cache
def known_revisions() -> tuple[str, ...]:
    """Returns the revisions of this code, newest last. File names start with the revision.

    Cached, since another version may be installed over the files of a running process.
    """
    files = MIGRATIONS.glob("versions/[0-9]*.py")
    return tuple(sorted(path.name.partition("_")[0] for path in files))


def _schema_state(connection: Connection) -> SchemaState:
    known, applied = known_revisions(), _applied_revision(connection)
    if applied == known[-1]:
        return SchemaState.CURRENT
    return SchemaState.BEHIND if applied is None or applied in known else SchemaState.AHEAD


def _applied_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(
        select(column("version_num")).select_from(table(VERSION_TABLE))
    ).scalar()
