"""Adds the audit log, with a trigger that rejects changes of its rows."""

import sqlalchemy as sa
from alembic import op

from models.base import UtcDateTime

revision: str = "0006"
down_revision: str | None = "0005"


def upgrade() -> None:
    op.create_table(
        "audit_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("succeeded", sa.Boolean(), nullable=False),
        sa.Column("actor_id", sa.Uuid()),
        sa.Column("subject_id", sa.Uuid()),
        sa.Column("session_id", sa.Uuid()),
        sa.Column("client_address", sa.String(64)),
        sa.Column("user_agent", sa.String(200)),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_events"),
    )
    for column in ("actor_id", "subject_id", "action"):
        op.create_index(f"ix_audit_events_{column}_id", "audit_events", [column, "id"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            """
            CREATE FUNCTION postern_audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
              RAISE EXCEPTION 'the audit trail is not to be changed';
            END $$
            """
        )
        op.execute(
            "CREATE TRIGGER postern_audit_events_unchanged BEFORE UPDATE ON audit_events"
            " FOR EACH ROW EXECUTE FUNCTION postern_audit_is_append_only()"
        )
    else:
        op.execute(
            "CREATE TRIGGER postern_audit_events_unchanged BEFORE UPDATE ON audit_events BEGIN"
            " SELECT RAISE(ABORT, 'the audit trail is not to be changed'); END"
        )
