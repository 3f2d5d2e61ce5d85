"""What the throttle stores under one key: failures and attempts in flight, which fade by age.

Both are sums of terms that each halve once per half-life. A term decays by its own age, a later one
does not refresh it, and a sum needs no more than its value and the instant of that value.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from auth.throttling.budgets import Limit

# An attempt whose process died stops counting after this time. A login takes much less.
LEASE = timedelta(seconds=30)
# A sum below this changes no decision.
_NEGLIGIBLE = 0.1
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ThrottleCounter:
    """The failures as of `failed_at`, and the attempts in flight as of `started_at`."""

    failures: float = 0.0
    failed_at: datetime = _NEVER
    in_flight: float = 0.0
    started_at: datetime = _NEVER

    def failures_at(self, limit: Limit, now: datetime) -> float:
        """What the failures amount to by now."""
        return self.failures * faded(now - self.failed_at, limit.half_life)

    def in_flight_at(self, now: datetime) -> float:
        """What the attempts in flight amount to by now."""
        return self.in_flight * faded(now - self.started_at, LEASE)

    def delay(self, limit: Limit, now: datetime) -> timedelta:
        """How long the next attempt has to wait after the last failure."""
        delay = self.failed_at + limit.delay_after(self.failures) - now
        # Longer than any delay: the clock was set back.
        return timedelta() if delay > limit.longest else max(delay, timedelta())

    def is_full(self, limit: Limit, now: datetime) -> bool:
        """Whether as many attempts are in flight as may still fail; one may always be."""
        left = max(round(limit.free - self.failures_at(limit, now)), 1)
        return round(self.in_flight_at(now)) >= left

    def started(self, now: datetime) -> "ThrottleCounter":
        """With one more attempt in flight."""
        return ThrottleCounter(self.failures, self.failed_at, self.in_flight_at(now) + 1, now)

    def ended(self, started_at: datetime, now: datetime) -> "ThrottleCounter":
        """Without the attempt that was started then: what is left of its term is taken out."""
        left = self.in_flight_at(now) - faded(now - started_at, LEASE)
        return ThrottleCounter(self.failures, self.failed_at, max(left, 0.0), now)

    def failed(self, limit: Limit, now: datetime) -> "ThrottleCounter":
        """With one more failure."""
        failures = self.failures_at(limit, now) + 1
        return ThrottleCounter(failures, now, self.in_flight, self.started_at)

    def forgiven(self) -> "ThrottleCounter":
        """Without failures."""
        return ThrottleCounter(0.0, _NEVER, self.in_flight, self.started_at)

    def plus(self, other: "ThrottleCounter", limit: Limit) -> "ThrottleCounter":
        """Both together: the same key under two secrets."""
        failed_at = max(self.failed_at, other.failed_at)
        started_at = max(self.started_at, other.started_at)
        return ThrottleCounter(
            self.failures_at(limit, failed_at) + other.failures_at(limit, failed_at),
            failed_at,
            self.in_flight_at(started_at) + other.in_flight_at(started_at),
            started_at,
        )

    def negligible_at(self, limit: Limit) -> datetime:
        """When the row says nothing any more and can be deleted."""
        return max(
            _negligible_at(self.failures, self.failed_at, limit.half_life),
            _negligible_at(self.in_flight, self.started_at, LEASE),
        )


def faded(age: timedelta, half_life: timedelta) -> float:
    """What is left of 1 at this age. A clock that was set back makes nothing older or larger."""
    return math.exp2(-(max(age, timedelta()) / half_life))


def _negligible_at(amount: float, since: datetime, half_life: timedelta) -> datetime:
    halvings = math.log2(max(amount, _NEGLIGIBLE) / _NEGLIGIBLE)
    return since + half_life * halvings
