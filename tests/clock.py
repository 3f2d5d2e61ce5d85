"""A clock that tests move."""

from datetime import UTC, datetime, timedelta

from auth.clock import Clock


class ManualClock(Clock):
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self._now = datetime.now(UTC).replace(microsecond=0)

    def now(self) -> datetime:
        return self._now

    def tick(self, **duration: float) -> None:
        """Moves the time: `tick(minutes=31)`. A negative duration moves it back."""
        self._now += timedelta(**duration)
