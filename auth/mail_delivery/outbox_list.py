"""Lists and retries the emails in the outbox, for operators."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from sqlalchemy import func, or_, select

from auth.mail_delivery.obsolete_emails import find_obsolete_reason
from auth.wiring import Auth
from models.outgoing_email import OutgoingEmail

_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True)
class PendingEmail:
    """An email that has not been sent, without its recipient."""

    id: UUID
    kind: str
    attempts: int
    next_attempt_at: datetime | None
    error: str | None

    @classmethod
    def of(cls, row: OutgoingEmail) -> Self:
        """Returns the pending email of a row."""
        return cls(row.id, row.kind, row.attempts, row.next_attempt_at, row.last_error)


@dataclass(frozen=True, slots=True)
class RetryResult:
    """The number of emails that will be sent again, and those that became obsolete."""

    retried: int
    obsolete: list[PendingEmail]


async def count_pending_emails(auth: Auth) -> int:
    """Returns how many emails are in the outbox. Raises DatabaseUnavailable."""
    async with auth.db.read() as session:
        return await session.scalar(select(func.count()).select_from(OutgoingEmail)) or 0


async def list_pending_emails(auth: Auth) -> AsyncIterator[PendingEmail]:
    """Yields every email in the outbox, oldest first. Raises DatabaseUnavailable."""
    after: UUID | None = None
    while True:
        query = select(OutgoingEmail).order_by(OutgoingEmail.id).limit(_PAGE_SIZE)
        if after is not None:
            query = query.where(OutgoingEmail.id > after)
        async with auth.db.read() as session:
            rows = list(await session.scalars(query))
        for row in rows:
            yield PendingEmail.of(row)
        if len(rows) < _PAGE_SIZE:
            return
        after = rows[-1].id


async def retry_failed_emails(auth: Auth) -> RetryResult:
    """Makes every failed email due again, except obsolete ones.

    Obsolete emails stay in the outbox with the reason. Emails that are being sent are not changed.
    """
    retried, obsolete = 0, list[PendingEmail]()
    for email_id in await _list_failed(auth):
        async with auth.db.begin() as tx:
            email = await tx.scalar(_FAILED.where(OutgoingEmail.id == email_id).with_for_update())
            if email is None:
                continue
            if reason := await find_obsolete_reason(tx, email, auth.clock.now()):
                email.next_attempt_at, email.last_error = None, reason
                obsolete.append(PendingEmail.of(email))
            else:
                _make_due(email, auth.clock.now())
                retried += 1
    return RetryResult(retried, obsolete)


async def _list_failed(auth: Auth) -> list[UUID]:
    async with auth.db.read() as session:
        failed = _FAILED.with_only_columns(OutgoingEmail.id).order_by(OutgoingEmail.id)
        return list(await session.scalars(failed))


def _make_due(email: OutgoingEmail, now: datetime) -> None:
    # Emails fail after an age, so the age restarts.
    email.next_attempt_at = email.created_at = now
    email.last_error = None


_FAILED = select(OutgoingEmail).where(
    or_(OutgoingEmail.last_error.is_not(None), OutgoingEmail.next_attempt_at.is_(None))
)
