"""Users."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import String, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from models.base import Base, UtcDateTime, key_text, uuid7
from models.role import Role, UserRole


class User(Base):
    """A user. The ID is the `sub` claim of their tokens and is never reused."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    username: Mapped[str] = mapped_column(String(64))
    username_key: Mapped[str] = mapped_column(key_text(64), unique=True)
    email: Mapped[str | None] = mapped_column(String(254))
    email_key: Mapped[str | None] = mapped_column(key_text(254), unique=True)
    full_name: Mapped[str | None] = mapped_column(String(200))
    password_hash: Mapped[str | None] = mapped_column(String(512))
    # The ID of the password and a digest of its hash: see auth/password_marks.py.
    password_mark: Mapped[str | None] = mapped_column(String(64))
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    email_verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_login_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # Set by an admin. It can be used only to choose another password.
    password_is_temporary: Mapped[bool] = mapped_column(default=False, server_default=false())
    # For a temporary password. Null if a process of an older version set it: see `has_expired`.
    temporary_password_expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The number of edits, to detect concurrent ones.
    version: Mapped[int] = mapped_column(default=1, server_default="1")

    roles: Mapped[list[Role]] = relationship(
        secondary=UserRole.__table__, order_by=Role.name, lazy="raise", viewonly=True
    )
