"""Check of the system clock before rows are deleted because of their age."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import func, select

from auth.clock import Clock
from models.audit_event import AuditEvent
from models.database import Database
from models.session import Session

log = structlog.get_logger("postern.auth")

# Larger than the usual difference between the clocks of two machines plus the time of a check.
TOLERANCE = timedelta(minutes=5)
# After a problem, the clock must run evenly for this long before it is trusted again.
TRUSTED_AFTER = timedelta(days=1)
# If nothing was written for longer than this, the clock may be ahead.
LONG_UNUSED = timedelta(days=30)


class ClockCheck:
    """Compares the clock with the monotonic clock, the database clock and the newest rows.

    Old sessions and audit events are deleted. Without this check, a clock that is wrong for a short
    time would delete all of them.
    """

    def __init__(
        self, db: Database, clock: Clock, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._db = db
        self._clock = clock
        self._monotonic = monotonic
        self._last: tuple[datetime, float] | None = None
        self._problem_at: float | None = None

    async def is_trusted(self) -> bool:
        """Checks the clock. Returns whether this check and the recent ones found no problem.

        False for the first check of a process, which has nothing to compare with. Raises
        DatabaseUnavailable.
        """
        now, monotonic = self._clock.now(), self._monotonic()
        last, self._last = self._last, (now, monotonic)
        problem = await self._find_problem(now, monotonic, last)
        if problem:
            self._problem_at = monotonic
            log.warning("clock.jumped", cause=problem)
        return last is not None and not self._had_problem(monotonic)

    def _had_problem(self, monotonic: float) -> bool:
        if self._problem_at is None:
            return False
        return monotonic - self._problem_at < TRUSTED_AFTER.total_seconds()

    async def _find_problem(
        self, now: datetime, monotonic: float, last: tuple[datetime, float] | None
    ) -> str | None:
        if last is None:
            return "long unused" if await self._is_long_unused(now) else None
        elapsed = timedelta(seconds=monotonic - last[1])
        if abs(now - last[0] - elapsed) > TOLERANCE:
            return "jumped"
        if await self._differs_from_database(now):
            return "differs from the database"
        return None

    async def _differs_from_database(self, now: datetime) -> bool:
        if self._db.dialect != "postgresql":
            return False
        async with self._db.read() as session:
            there: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
        return abs(there.astimezone(UTC) - now) > TOLERANCE

    async def _is_long_unused(self, now: datetime) -> bool:
        async with self._db.read() as session:
            written = [
                await session.scalar(select(AuditEvent.at).order_by(AuditEvent.id.desc()).limit(1)),
                await session.scalar(
                    select(Session.last_used_at).order_by(Session.id.desc()).limit(1)
                ),
            ]
        newest = max((at for at in written if at is not None), default=now)
        return now - newest > LONG_UNUSED
