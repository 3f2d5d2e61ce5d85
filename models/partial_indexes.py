"""Indexes of some of the rows only; migrations make them, and nothing else needs to know.

An index with a condition loads SQLAlchemy's dialects of all databases that the condition is for,
which of an idle server were two megabytes.
"""

from sqlalchemy import Index

from models.user import User

# Disabled accounts are few among many: without it, listing them would walk the whole table.
Index(
    "ix_users_disabled",
    User.id,
    postgresql_where=User.disabled_at.is_not(None),
    sqlite_where=User.disabled_at.is_not(None),
)
