"""Adds throttle counters that decay with age, and allows several links per user and purpose.

The table `throttles` stays, since processes of the previous version use it during an upgrade.
"""

import sqlalchemy as sa
from alembic import op

from models.base import UtcDateTime, key_text

revision: str = "0014"
down_revision: str | None = "0013"


def upgrade() -> None:
    op.create_table(
        "attempts",
        sa.Column("key", key_text(64), nullable=False),
        sa.Column("failures", sa.Double(), nullable=False),
        sa.Column("failed_at", UtcDateTime(), nullable=False),
        sa.Column("in_flight", sa.Double(), nullable=False),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("forgotten_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_attempts"),
    )
    op.create_index("ix_attempts_forgotten_at", "attempts", ["forgotten_at"])
    with op.batch_alter_table("links") as links:
        links.drop_constraint("uq_links_user_id_purpose", type_="unique")
        links.create_index("ix_links_user_id", ["user_id"])
