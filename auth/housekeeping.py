"""Background cleanup: deletes old rows and rotates keys, in one process at a time."""

import asyncio
import random
from collections.abc import Awaitable, Callable
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
from models.outgoing_email import OutgoingEmail
from models.pending_registration import PendingRegistration
from models.session import Session

log = structlog.get_logger("postern.auth")

INTERVAL = timedelta(minutes=10)
# Keeps transactions short. Also, the PostgreSQL triggers name each changed user only up to this
# number (migration 0005). Above, they clear the caches of all processes.
BATCH = 100
SELECT_LIMIT = 50 * BATCH
# Longer than the delivery attempts of an email and the lifetime of its link together.
_REQUEST_RETENTION = timedelta(days=14)
# Operators can see failed emails, and retry them, for this long.
_FAILED_EMAIL_RETENTION = timedelta(days=30)


async def clean_up(auth: Auth, *, deletes: bool = True) -> None:
    """Runs all steps once. Logs a step that fails and continues with the next one.

    Pass `deletes=False` to skip the steps that depend on the clock, when it may be wrong.
    """
    for step in (*(_CLOCK_STEPS if deletes else ()), _renew_encryption):
        try:
            await step(auth)
        except DatabaseUnavailable as error:
            log.warning("housekeeping.deferred", step=step.__name__, cause=str(error))
        except Exception:
            log.exception("housekeeping.failed", step=step.__name__)


async def delete_ended_sessions(auth: Auth, *, select_limit: int = SELECT_LIMIT) -> int:
    """Deletes sessions that ended long ago, in short transactions. Returns their number.

    Does nothing while another process does it.
    """
    ended = _ended_before(auth.clock.now() - auth.session_policy.kept_after_end)
    deleted, before = 0, -1
    # Locked sessions are skipped. A round that deletes none is the last one.
    while deleted > before:
        before = deleted
        async with auth.db.read() as session:
            found = await session.scalars(select(Session.id).where(ended).limit(select_limit))
            ids = list(found)
        for start in range(0, len(ids), BATCH):
            async with auth.db.begin() as tx:
                if not await auth.db.try_lock(tx, "housekeeping"):
                    return deleted
                batch = Session.id.in_(ids[start : start + BATCH])
                deleted += await _delete_free(tx, Session, batch, ended)
    return deleted


async def delete_expired_requests(auth: Auth) -> None:
    """Deletes links, registrations and invitations that expired long ago, and old failed emails."""
    now = auth.clock.now()
    # The lifetime of a link starts when its email is sent, which may be days after the request.
    long_ago = now - _REQUEST_RETENTION
    failed = OutgoingEmail.next_attempt_at.is_(None)
    # A request is kept as long as its email is in the outbox.
    waiting = select(OutgoingEmail.id)
    for request in (Link, PendingRegistration):
        old = request.created_at < long_ago, request.id.not_in(waiting)
        await _delete_in_batches(auth, request, *old)
    await _delete_in_batches(auth, Invitation, Invitation.expires_at < long_ago)
    await _delete_in_batches(
        auth, OutgoingEmail, failed, OutgoingEmail.created_at < now - _FAILED_EMAIL_RETENTION
    )


async def _delete_in_batches(
    auth: Auth, table: type[Base], *conditions: ColumnElement[bool]
) -> None:
    deleted = SELECT_LIMIT
    while deleted == SELECT_LIMIT:
        async with auth.db.begin() as tx:
            deleted = await _delete_free(tx, table, *conditions)


async def _delete_free(
    tx: AsyncSession, table: type[Base], *conditions: ColumnElement[bool]
) -> int:
    """Deletes rows that no other transaction has locked, up to a limit. Returns their number."""
    (key,) = inspect(table).primary_key
    free = select(key).where(*conditions).limit(SELECT_LIMIT)
    # Waiting for a transaction that locks the same rows in another order could deadlock.
    keys = list(await tx.scalars(free.with_for_update(skip_locked=True)))
    await tx.execute(delete(table).where(key.in_(keys)))
    return len(keys)


async def _delete_old_attempts(auth: Auth) -> None:
    await auth.throttle.delete_expired()


async def _delete_old_audit_events(auth: Auth) -> None:
    if auth.audit_retention:
        await delete_old_audit_events(auth, auth.audit_retention)


async def _rotate_keys(auth: Auth) -> None:
    if auth.key_max_age:
        await auth.keys.rotate_by_age(auth.key_max_age)


async def _renew_encryption(auth: Auth) -> None:
    await auth.keys.renew_encryption()


# With a clock that is ahead, each of them deletes rows that are still needed. A key that starts to
# sign in two years would block the creation of the next key.
_CLOCK_STEPS = (
    delete_ended_sessions,
    _delete_old_attempts,
    delete_expired_requests,
    _delete_old_audit_events,
    _rotate_keys,
)


def _ended_before(moment: datetime) -> ColumnElement[bool]:
    return or_(
        Session.revoked_at < moment,
        Session.idle_expires_at < moment,
        Session.expires_at < moment,
    )


class Housekeeping:
    """Runs the cleanup in the background, every ten minutes."""

    def __init__(
        self,
        auth: Auth,
        *,
        interval: timedelta = INTERVAL,
        job: Callable[..., Awaitable[None]] = clean_up,
    ) -> None:
        self._auth = auth
        self._interval_seconds = interval.total_seconds()
        self._job = job
        self._clock_check = ClockCheck(auth.db, auth.clock)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts the background task. The first cleanup is within a minute."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stops the background task. A running transaction is rolled back."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        # Jitter, so that workers started together do not run at the same time.
        pause = random.uniform(0, min(60, self._interval_seconds))  # noqa: S311 - not a secret
        while True:
            await asyncio.sleep(pause)
            pause = self._interval_seconds * random.uniform(0.9, 1.1)  # noqa: S311 - the same
            try:
                await self._job(self._auth, deletes=await self._clock_check.is_trusted())
            except DatabaseUnavailable as error:
                log.warning("housekeeping.deferred", cause=str(error))
            except Exception:
                log.exception("housekeeping.failed")
