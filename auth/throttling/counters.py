"""Counters of the throttle: failures and attempts in flight, which decay with age.

Both are sums of terms that halve once per half-life. Each term decays with its own age, and a later
term does not refresh it. The sum and its time are enough to compute its value at any later time.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from auth.throttling.budgets import Limit

# If a process dies, its attempt stops counting after this time. A sign-in takes much less.
LEASE = timedelta(seconds=30)
# A smaller sum does not change a decision.
_NEGLIGIBLE = 0.1
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ThrottleCounter:
    """The failures at `failed_at`, and the attempts in flight at `started_at`."""

    failures: float = 0.0
    failed_at: datetime = _NEVER
    in_flight: float = 0.0
    started_at: datetime = _NEVER

    def failures_at(self, limit: Limit, now: datetime) -> float:
        """Returns the decayed number of failures."""
        return self.failures * decayed(now - self.failed_at, limit.half_life)

    def in_flight_at(self, now: datetime) -> float:
        """Returns the decayed number of attempts in flight."""
        return self.in_flight * decayed(now - self.started_at, LEASE)

    def delay(self, limit: Limit, now: datetime) -> timedelta:
        """Returns the delay before the next attempt."""
        delay = self.failed_at + limit.delay_after(self.failures) - now
        # A longer delay than the limit allows means that the clock was set back.
        return timedelta() if delay > limit.longest else max(delay, timedelta())

    def is_full(self, limit: Limit, now: datetime) -> bool:
        """Returns whether no more attempts may start. One attempt in flight is always allowed."""
        left = max(round(limit.free - self.failures_at(limit, now)), 1)
        return round(self.in_flight_at(now)) >= left

    def started(self, now: datetime) -> "ThrottleCounter":
        """Returns the counter with one more attempt in flight."""
        return ThrottleCounter(self.failures, self.failed_at, self.in_flight_at(now) + 1, now)

    def ended(self, started_at: datetime, now: datetime) -> "ThrottleCounter":
        """Returns the counter without the attempt that was started at a time."""
        left = self.in_flight_at(now) - decayed(now - started_at, LEASE)
        return ThrottleCounter(self.failures, self.failed_at, max(left, 0.0), now)

    def failed(self, limit: Limit, now: datetime) -> "ThrottleCounter":
        """Returns the counter with one more failure."""
        failures = self.failures_at(limit, now) + 1
        return ThrottleCounter(failures, now, self.in_flight, self.started_at)

    def without_failures(self) -> "ThrottleCounter":
        """Returns the counter without failures."""
        return ThrottleCounter(0.0, _NEVER, self.in_flight, self.started_at)

    def plus(self, other: "ThrottleCounter", limit: Limit) -> "ThrottleCounter":
        """Returns the sum of the counters of one key under two secrets."""
        failed_at = max(self.failed_at, other.failed_at)
        started_at = max(self.started_at, other.started_at)
        return ThrottleCounter(
            self.failures_at(limit, failed_at) + other.failures_at(limit, failed_at),
            failed_at,
            self.in_flight_at(started_at) + other.in_flight_at(started_at),
            started_at,
        )

    def negligible_at(self, limit: Limit) -> datetime:
        """Returns when the row no longer changes a decision and can be deleted."""
        return max(
            _negligible_at(self.failures, self.failed_at, limit.half_life),
            _negligible_at(self.in_flight, self.started_at, LEASE),
        )


def decayed(age: timedelta, half_life: timedelta) -> float:
    """Returns the weight of a term at an age. It is 1 if the clock was set back."""
    return math.exp2(-(max(age, timedelta()) / half_life))


def _negligible_at(amount: float, since: datetime, half_life: timedelta) -> datetime:
    halvings = math.log2(max(amount, _NEGLIGIBLE) / _NEGLIGIBLE)
    return since + half_life * halvings
