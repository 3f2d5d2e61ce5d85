"""Mails that are to be sent: written with what they tell of, deleted when they are."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, UtcDateTime, uuid7


class OutgoingEmail(Base):
    """One mail. It holds no link: that is made when the mail is sent."""

    __tablename__ = "outgoing_mails"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    kind: Mapped[str] = mapped_column(String(32))
    about: Mapped[dict[str, str]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # Also how long the process that sends it has for it: then another one may try.
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    attempts: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str | None] = mapped_column(String(200))


# What is due, oldest first; a mail that was given up has no next attempt.
Index("ix_outgoing_mails_next_attempt_at", OutgoingEmail.next_attempt_at)
