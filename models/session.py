"""Sessions: one row from sign-in to sign-out."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, UtcDateTime, uuid7


class RevocationReason(StrEnum):
    """The reason for which a session ended before it expired."""

    LOGGED_OUT = "logged_out"
    LOGGED_OUT_EVERYWHERE = "logged_out_everywhere"
    REVOKED_BY_OWNER = "revoked_by_owner"
    REVOKED_BY_OPERATOR = "revoked_by_operator"
    REFRESH_TOKEN_REPLAYED = "refresh_token_replayed"  # noqa: S105 - a reason, not a secret
    USER_DISABLED = "user_disabled"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a reason, not a secret
    PASSWORD_RESET_REQUIRED = "password_reset_required"  # noqa: S105 - a reason, not a secret


class Session(Base):
    """A session of a user. Its ID is the `sid` claim of its tokens. The row contains no tokens."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    client_address: Mapped[str | None] = mapped_column(String(64))
    user_agent: Mapped[str | None] = mapped_column(String(200))
    generation: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime] = mapped_column(UtcDateTime)
    idle_expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revocation_reason: Mapped[str | None] = mapped_column(String(32))
    # Of the refresh that created this generation. Null if the client sent no idempotency key.
    idempotency_key_hmac: Mapped[bytes | None] = mapped_column(LargeBinary(32))
