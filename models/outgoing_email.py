"""The outbox: emails that wait to be sent."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, UtcDateTime, uuid7


class OutgoingEmail(Base):
    """A queued email. It contains no link, which is created when the email is sent."""

    __tablename__ = "outgoing_mails"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    kind: Mapped[str] = mapped_column(String(32))
    about: Mapped[dict[str, str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # While a process sends the email: when its claim ends and another process may try.
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(String(200))


# For the emails that are due. A failed email has no next attempt.
Index("ix_outgoing_mails_next_attempt_at", OutgoingEmail.next_attempt_at)
