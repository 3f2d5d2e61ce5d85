"""What links and device proofs end with: it stays when a sign-in renews the hash of a password."""

import sqlalchemy as sa
from alembic import op

revision: str = "0015"
down_revision: str | None = "0014"


def upgrade() -> None:
    # Empty for passwords from before, and where a process of an older version sets one.
    op.add_column("users", sa.Column("password_mark", sa.String(64), nullable=True))
