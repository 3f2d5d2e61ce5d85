"""What the throttle counts, for all processes together."""

from datetime import datetime

from sqlalchemy import Double
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, UtcDateTime, key_text


class Throttle(Base):
    """Failures and attempts in flight of one budget; the key is an HMAC and names neither.

    Both amounts decay by age: each is valid at the instant beside it.
    """

    __tablename__ = "attempts"

    key: Mapped[str] = mapped_column(key_text(64), primary_key=True)
    failures: Mapped[float] = mapped_column(Double)
    failed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    in_flight: Mapped[float] = mapped_column(Double)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # When both amounts are negligible.
    forgotten_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
