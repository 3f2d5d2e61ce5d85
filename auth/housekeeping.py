"""What nobody asks for and somebody has to do: it is done in the background, by one process."""

import asyncio
import random
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, delete, inspect, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit_list import delete_old_audit_events
from auth.clock_check import ClockCheck
from auth.wiring import Auth
from models.base import Base
from models.database import DatabaseUnavailable
from models.invitation import Invitation
from models.link import Link
from models.outgoing_mail import OutgoingMail
from models.pending_registration import PendingRegistration
from models.session import Session

log = structlog.get_logger("postern.auth")

EVERY = timedelta(minutes=10)
# Few enough that a transaction is short, and that PostgreSQL tells of each user by name instead of
# making every process forget everybody.
BATCH = 100
_FOUND_AT_ONCE = 50 * BATCH
# Longer than a mail is tried to be sent and its link then lives, both together.
_UNANSWERED_FOR = timedelta(days=14)
# So long operators can see what was not delivered, and try again.
_GIVEN_UP_FOR = timedelta(days=30)


class Housekeeping:
    """Deletes sessions that ended long ago, renews keys, and starts again ten minutes later."""

    def __init__(self, auth: Auth) -> None:
        self._auth = auth
        self._clock_check = ClockCheck(auth.db, auth.clock)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins in the background, soon."""
        self._task = asyncio.create_task(self._run_for_ever())

    async def stop(self) -> None:
        """Ends; what was begun is rolled back, and done next time."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run_for_ever(self) -> None:
        # Processes that start together do not come together.
        pause = random.uniform(0, 60)  # noqa: S311 - nobody gains by guessing it
        while True:
            await asyncio.sleep(pause)
            pause = EVERY.total_seconds() * random.uniform(0.9, 1.1)  # noqa: S311 - the same
            try:
                await clean_up(self._auth, deletes=await self._clock_check.is_believable())
            except DatabaseUnavailable as error:
                log.warning("housekeeping.deferred", cause=str(error))
            except Exception:
                log.exception("housekeeping.failed")


async def clean_up(auth: Auth, *, deletes: bool = True) -> None:
    """Does all that is due, once; a step that fails is logged, and the others are done.

    Without `deletes`, what depends on the clock waits: it may be wrong.
    """
    for step in (*(_STEPS_BY_THE_CLOCK if deletes else ()), _renew_encryption):
        try:
            await step(auth)
        except DatabaseUnavailable as error:
            log.warning("housekeeping.deferred", step=step.__name__, cause=str(error))
        except Exception:
            log.exception("housekeeping.failed", step=step.__name__)


async def delete_ended_sessions(auth: Auth) -> int:
    """Deletes sessions that ended long ago, in short transactions. Returns how many.

    Does nothing while another process does it.
    """
    long_over = _ended_before(auth.clock.now() - auth.session_policy.kept_after_end)
    deleted, before = 0, -1
    # What others hold is left to the next time.
    while deleted > before:
        before = deleted
        async with auth.db.read() as session:
            found = await session.scalars(select(Session.id).where(long_over).limit(_FOUND_AT_ONCE))
            ids = list(found)
        for start in range(0, len(ids), BATCH):
            async with auth.db.begin() as tx:
                if not await auth.db.try_lock(tx, "housekeeping"):
                    return deleted
                batch = Session.id.in_(ids[start : start + BATCH])
                deleted += await _delete_free(tx, Session, batch, long_over)
    return deleted


async def delete_what_nobody_answered(auth: Auth) -> None:
    """Deletes requests whose links have long expired, and mails that were given up."""
    now = auth.clock.now()
    # A mail may have been on its way for days before the life of its link began.
    long_ago = now - _UNANSWERED_FOR
    given_up = OutgoingMail.next_attempt_at.is_(None)
    # While an email waits to be sent, or to be retried, so does the request that it is about.
    waiting = select(OutgoingMail.id)
    for request in (Link, PendingRegistration):
        old = request.created_at < long_ago, request.id.not_in(waiting)
        await _delete_in_batches(auth, request, *old)
    await _delete_in_batches(auth, Invitation, Invitation.expires_at < long_ago)
    await _delete_in_batches(
        auth, OutgoingMail, given_up, OutgoingMail.created_at < now - _GIVEN_UP_FOR
    )


async def _delete_in_batches(
    auth: Auth, table: type[Base], *conditions: ColumnElement[bool]
) -> None:
    deleted = _FOUND_AT_ONCE
    while deleted == _FOUND_AT_ONCE:
        async with auth.db.begin() as tx:
            deleted = await _delete_free(tx, table, *conditions)


async def _delete_free(
    tx: AsyncSession, table: type[Base], *conditions: ColumnElement[bool]
) -> int:
    """Deletes rows that no other transaction holds, up to a limit. Returns how many."""
    (key,) = inspect(table).primary_key
    free = select(key).where(*conditions).limit(_FOUND_AT_ONCE)
    # Another transaction may lock the same rows in another order: to wait for it could deadlock.
    keys = list(await tx.scalars(free.with_for_update(skip_locked=True)))
    await tx.execute(delete(table).where(key.in_(keys)))
    return len(keys)


async def _forget_old_attempts(auth: Auth) -> None:
    await auth.throttle.delete_forgotten()


async def _delete_old_audit_events(auth: Auth) -> None:
    if auth.audit_retention:
        await delete_old_audit_events(auth, auth.audit_retention)


async def _rotate_keys(auth: Auth) -> None:
    if auth.key_max_age:
        await auth.keys.rotate_by_age(auth.key_max_age)


async def _renew_encryption(auth: Auth) -> None:
    await auth.keys.renew_encryption()


# With a clock that is ahead, each would delete what is still needed; and a key that begins in two
# years would keep the next one from being made.
_STEPS_BY_THE_CLOCK = (
    delete_ended_sessions,
    _forget_old_attempts,
    delete_what_nobody_answered,
    _delete_old_audit_events,
    _rotate_keys,
)


def _ended_before(moment: datetime) -> ColumnElement[bool]:
    return or_(
        Session.revoked_at < moment,
        Session.idle_expires_at < moment,
        Session.expires_at < moment,
    )
