"""Adds the counters of failed attempts."""

import sqlalchemy as sa
from alembic import op

from models.base import UtcDateTime, key_text

revision: str = "0007"
down_revision: str | None = "0006"


def upgrade() -> None:
    op.create_table(
        "throttles",
        sa.Column("key", key_text(64), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("blocked_until", UtcDateTime()),
        sa.Column("forgotten_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_throttles"),
    )
    op.create_index("ix_throttles_forgotten_at", "throttles", ["forgotten_at"])
