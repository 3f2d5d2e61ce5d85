"""Whether the clock can be believed, before what is old by it is deleted for good."""

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

# More than the clocks of two machines differ, and than a look takes.
TOLERANCE = timedelta(minutes=5)
# How long the clock must go evenly after a jump, or after nothing was written for long.
BELIEVED_AFTER = timedelta(days=1)
# After a longer pause than this, the clock may be wrong instead.
LONG_UNUSED = timedelta(days=30)


class ClockCheck:
    """Compares the clock with the monotonic clock, the database's clock, and what was written last.

    Sessions and the audit log are deleted when they are old. A clock that is wrong for a while
    would delete all of them.
    """

    def __init__(
        self, db: Database, clock: Clock, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._db = db
        self._clock = clock
        self._monotonic = monotonic
        self._last: tuple[datetime, float] | None = None
        self._doubted_at: float | None = None

    async def is_believable(self) -> bool:
        """Looks at the clock. True if this look and the ones before it agree.

        The first look of a process has nothing to be compared with. Raises DatabaseUnavailable.
        """
        now, monotonic = self._clock.now(), self._monotonic()
        last, self._last = self._last, (now, monotonic)
        doubt = await self._doubt(now, monotonic, last)
        if doubt:
            self._doubted_at = monotonic
            log.warning("clock.jumped", cause=doubt)
        return last is not None and not self._doubts(monotonic)

    def _doubts(self, monotonic: float) -> bool:
        if self._doubted_at is None:
            return False
        return monotonic - self._doubted_at < BELIEVED_AFTER.total_seconds()

    async def _doubt(
        self, now: datetime, monotonic: float, last: tuple[datetime, float] | None
    ) -> str | None:
        if last is None:
            return "long unused" if await self._is_long_unused(now) else None
        went_on = timedelta(seconds=monotonic - last[1])
        if abs(now - last[0] - went_on) > TOLERANCE:
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
