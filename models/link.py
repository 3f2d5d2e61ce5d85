"""What the link in an email is about: a request of a user."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, UtcDateTime


class Link(Base):
    """A request that waits for its link to be followed.

    Several requests for a password reset may be open; of every other purpose the newest is.

    Nothing here opens anything: the token in the mail is signed, and the signature stored nowhere.
    """

    __tablename__ = "links"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    purpose: Mapped[str] = mapped_column(String(32))
    # The address that a change of address would bring.
    email: Mapped[str | None] = mapped_column(String(254))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
