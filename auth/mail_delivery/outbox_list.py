"""The outbox as operators see it: what waits, and why."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from sqlalchemy import func, or_, select

from auth.mail_delivery.obstacles import find_obstacle
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

    @classmethod
    def of(cls, row: OutgoingMail) -> Self:
        """Reads a row of the outbox."""
        return cls(row.id, row.kind, row.attempts, row.next_attempt_at, row.last_error)


@dataclass(frozen=True, slots=True)
class RetriedMails:
    """How many emails will be sent again, and those that cannot be sent any more, with why."""

    retried: int
    obsolete: list[WaitingMail]


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
            yield WaitingMail.of(row)
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1].id


async def retry_mails(auth: Auth) -> RetriedMails:
    """Makes every failed email due, except those that cannot be sent any more.

    Those stay in the outbox, with the reason. What is being sent is left alone.
    """
    retried, obsolete = 0, list[WaitingMail]()
    for mail_id in await _list_failed(auth):
        async with auth.db.begin() as tx:
            mail = await tx.scalar(_FAILED.where(OutgoingMail.id == mail_id).with_for_update())
            if mail is None:
                continue
            if reason := await find_obstacle(tx, mail, auth.clock.now()):
                mail.next_attempt_at, mail.last_error = None, reason
                obsolete.append(WaitingMail.of(mail))
            else:
                _make_due(mail, auth.clock.now())
                retried += 1
    return RetriedMails(retried, obsolete)


async def _list_failed(auth: Auth) -> list[UUID]:
    async with auth.db.read() as session:
        failed = _FAILED.with_only_columns(OutgoingMail.id).order_by(OutgoingMail.id)
        return list(await session.scalars(failed))


def _make_due(mail: OutgoingMail, now: datetime) -> None:
    # An email fails by its age, so the age starts again.
    mail.next_attempt_at = mail.created_at = now
    mail.last_error = None


_FAILED = select(OutgoingMail).where(
    or_(OutgoingMail.last_error.is_not(None), OutgoingMail.next_attempt_at.is_(None))
)
