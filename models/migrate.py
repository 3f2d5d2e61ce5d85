"""Applies migrations with Alembic."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from models import tables
from models.database import Database
from models.schema_state import MIGRATIONS, VERSION_TABLE, known_revisions


async def upgrade(db: Database) -> None:
    """Applies every pending migration, in one transaction. Raises DatabaseUnavailable."""
    await db.run(_upgrade)


def drift(connection: Connection) -> list[object]:
    """Returns the differences between the tables and the models."""
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "include_name": _is_modelled}
    )
    return list(compare_metadata(context, tables.METADATA))


def _is_modelled(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or name in tables.METADATA.tables


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # If two processes start together, the second waits here and then has nothing to do.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('migrate', 0))"))
    _move_version(connection)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _move_version(connection: Connection) -> None:
    """Moves our revision out of `alembic_version`, where versions before 0.2.0 kept it."""
    present = set(inspect(connection).get_table_names())
    if VERSION_TABLE in present or not {"alembic_version", "signing_keys"} <= present:
        return
    version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if version in known_revisions():
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        context.stamp(ScriptDirectory.from_config(_config()), version)
        # Its primary key has a name too, which the application's own table needs.
        connection.execute(text("DROP TABLE alembic_version"))
