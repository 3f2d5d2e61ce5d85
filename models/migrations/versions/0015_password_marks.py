"""Adds password marks: links and device proofs become invalid when the mark changes."""

import sqlalchemy as sa
from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"


def upgrade() -> None:
    # Null for older passwords, and for passwords that a process of an older version sets.
    op.add_column("users", sa.Column("password_mark", sa.String(64), nullable=True))
