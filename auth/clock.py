"""The clock of the server. Tests replace it."""

from datetime import UTC, datetime


class Clock:
    """The system clock."""

    def now(self) -> datetime:
        """Returns the current time, timezone-aware and in UTC."""
        return datetime.now(UTC)
