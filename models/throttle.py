"""How often somebody has failed of late, whichever process they asked."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, UtcDateTime, key_text


class Throttle(Base):
    """The failures of one account or one network; the key names neither."""

    __tablename__ = "throttles"

    key: Mapped[str] = mapped_column(key_text(64), primary_key=True)
    failures: Mapped[int]
    blocked_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    forgotten_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
