"""All tables of Postern together."""

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
    throttle_row,
    user,
)
from models.base import Base
from models.schema_state import VERSION_TABLE

# Every module with a table or an index: importing them makes the metadata complete.
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
    throttle_row,
    user,
)


METADATA = Base.metadata

# Triggers write `changes` on SQLite. Processes from before migration 0014 count in `throttles`.
_UNMODELLED = ("changes", "throttles")


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Returns whether a table belongs to the application that shares the database with Postern.

    For `context.configure(include_name=…)` in the application's own Alembic environment: without it
    autogenerate drops the tables of Postern.
    """
    return kind != "table" or name not in {*METADATA.tables, *_UNMODELLED, VERSION_TABLE}
