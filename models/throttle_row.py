"""The counters of the throttle."""

from datetime import datetime

from sqlalchemy import Double
from sqlalchemy.orm import Mapped, mapped_column

from models.base import Base, UtcDateTime, key_text


class ThrottleRow(Base):
    """The failures and attempts in flight of a budget. The key is an HMAC of the budget.

    Both amounts decay with age. `failed_at` and `started_at` are the times for which they are
    valid.
    """

    __tablename__ = "attempts"

    key: Mapped[str] = mapped_column(key_text(64), primary_key=True)
    failures: Mapped[float] = mapped_column(Double)
    failed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    in_flight: Mapped[float] = mapped_column(Double)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # When both amounts are negligible and the row can be deleted.
    forgotten_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
