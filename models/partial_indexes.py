"""Indexes with a condition, which only migrations need.

They are in their own module because SQLAlchemy loads a dialect per condition. That would take two
megabytes of the memory of an idle server.
"""

from sqlalchemy import Index

from models.user import User

# Few users are disabled. Without the index, listing them would read the whole table.
Index(
    "ix_users_disabled",
    User.id,
    postgresql_where=User.disabled_at.is_not(None),
    sqlite_where=User.disabled_at.is_not(None),
)
