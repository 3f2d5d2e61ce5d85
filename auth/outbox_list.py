"""The outbox as operators see it: what waits, and why."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, func, or_, select, update

from auth.wiring import Auth
from models.outgoing_mail import OutgoingMail

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class WaitingMail:
    """A mail that has not been sent; to whom is nobody's business here."""

    id: UUID
    kind: str
    attempts: int
    next_attempt_at: datetime | None
    error: str | None


async def count_waiting_mails(auth: Auth) -> int:
    """How many mails are in the outbox. Raises DatabaseUnavailable."""
    async with auth.db.read() as session:
        return await session.scalar(select(func.count()).select_from(OutgoingMail)) or 0


async def list_waiting_mails(auth: Auth) -> AsyncIterator[WaitingMail]:
    """Every mail of the outbox, oldest first. Raises DatabaseUnavailable."""
    after: UUID | None = None
    while True:
        query = select(OutgoingMail).order_by(OutgoingMail.id).limit(_AT_ONCE)
        if after is not None:
            query = query.where(OutgoingMail.id > after)
        async with auth.db.read() as session:
            rows = list(await session.scalars(query))
        for row in rows:
            yield WaitingMail(row.id, row.kind, row.attempts, row.next_attempt_at, row.last_error)
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1].id


async def retry_mails(auth: Auth) -> int:
    """Makes every mail due that has failed. Returns how many. What is being sent is left alone."""
    failed = OutgoingMail.last_error.is_not(None)
    async with auth.db.begin() as tx:
        due = update(OutgoingMail).where(or_(failed, OutgoingMail.next_attempt_at.is_(None)))
        # Since a mail that was given up would be given up again, its days are counted anew.
        now = auth.clock.now()
        result = await tx.execute(due.values(next_attempt_at=now, created_at=now, last_error=None))
        return cast("CursorResult[Any]", result).rowcount
