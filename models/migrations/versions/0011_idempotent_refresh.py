"""Adds the HMAC of the idempotency key of the last refresh to sessions."""

import sqlalchemy as sa
from alembic import op

revision: str = "0011"
down_revision: str | None = "0010"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("idempotency_key_hmac", sa.LargeBinary(32), nullable=True))
