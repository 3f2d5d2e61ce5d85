"""Adds names of deleted roles, and the senders of invitations."""

import sqlalchemy as sa
from alembic import op

revision: str = "0012"
down_revision: str | None = "0011"


def upgrade() -> None:
    op.create_table(
        "retired_role_names",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("granted", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_retired_role_names"),
    )
    op.add_column("invitations", sa.Column("invited_by", sa.Uuid()))
    op.add_column(
        "invitations",
        sa.Column("from_console", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    _find_inviters()


def _find_inviters() -> None:
    invitations = sa.table(
        "invitations",
        sa.column("id", sa.Uuid),
        sa.column("invited_by", sa.Uuid),
        sa.column("from_console", sa.Boolean),
    )
    events = sa.table(
        "audit_events",
        sa.column("action", sa.String),
        sa.column("actor_id", sa.Uuid),
        sa.column("details", sa.JSON),
    )
    bind = op.get_bind()
    created = sa.select(events.c.details, events.c.actor_id).where(
        events.c.action == "invitation.created"
    )
    inviters = {details["invitation_id"]: actor for details, actor in bind.execute(created)}
    for invitation_id in bind.scalars(sa.select(invitations.c.id)).all():
        if str(invitation_id) in inviters:
            inviter = inviters[str(invitation_id)]
            bind.execute(
                invitations.update()
                .where(invitations.c.id == invitation_id)
                .values(invited_by=inviter, from_console=inviter is None)
            )
