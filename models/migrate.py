"""Brings the tables to the state that this code needs, with Alembic."""

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from models import (
    audit_event,
    invitation,
    link,
    outgoing_email,
    partial_indexes,
    pending_registration,
    retired_role_name,
    session,
    signing_key,
    throttle,
    user,
)
from models.base import Base
from models.database import Database
from models.schema_state import MIGRATIONS

# Every module with a table or an index, so that Base.metadata is whole when migrations look.
TABLE_MODULES = (
    audit_event,
    invitation,
    link,
    outgoing_email,
    partial_indexes,
    pending_registration,
    retired_role_name,
    session,
    signing_key,
    throttle,
    user,
)


async def upgrade(db: Database) -> None:
    """Applies every pending migration, in one transaction. Raises DatabaseUnavailable."""
    await db.run(_upgrade)


def drift(connection: Connection) -> list[object]:
    """Differences between the migrated tables and the models; empty when they agree."""
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "include_name": _is_modelled}
    )
    return list(compare_metadata(context, Base.metadata))


def _is_modelled(name: str | None, kind: str, _parents: object) -> bool:
    # SQLite's list of changes is written by triggers and read without the models. `throttles` is
    # what the version before migration 0014 counts in while both versions run.
    return (kind, name) not in {("table", "changes"), ("table", "throttles")}


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        # Two processes may start together: the second waits here, then finds nothing to do.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('migrate', 0))"))
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
