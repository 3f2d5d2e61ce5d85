"""Adds an expiry to temporary passwords. Existing ones expire in seven days."""

from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from alembic import op

from models.base import UtcDateTime

revision: str = "0013"
down_revision: str | None = "0012"


def upgrade() -> None:
    op.add_column("users", sa.Column("temporary_password_expires_at", UtcDateTime(), nullable=True))
    users = sa.table(
        "users",
        sa.column("password_is_temporary", sa.Boolean),
        sa.column("temporary_password_expires_at", UtcDateTime),
    )
    expires_at = datetime.now(UTC) + timedelta(days=7)
    op.execute(
        users.update()
        .where(users.c.password_is_temporary)
        .values(temporary_password_expires_at=expires_at)
    )
