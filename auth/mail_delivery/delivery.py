"""Background job that sends the emails in the outbox and retries those that fail.

A process claims an email by moving its next attempt into the future, for longer than sending can
take. An email arrives twice only if a process dies between sending and deleting it. Both copies
have the same Message-ID.
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from sqlalchemy import delete, not_, select, update

from auth.mail.outbox import EmailKind
from auth.mail.rendering import EmailRenderer, InvalidTemplate
from auth.mail.transports import LONGEST_SECONDS, NotDelivered, Transport
from auth.mail_delivery.composer import MessageComposer, QueuedEmail
from auth.wiring import Auth
from models.database import DatabaseUnavailable
from models.outgoing_email import OutgoingEmail

log = structlog.get_logger("postern.auth")

POLL_SECONDS = 1.0
CONCURRENT_SENDS = 10
CLAIMED_FOR = timedelta(seconds=LONGEST_SECONDS) + timedelta(minutes=1)
FIRST_RETRY_AFTER = timedelta(seconds=10)
LONGEST_RETRY_AFTER = timedelta(minutes=30)
FAILED_AFTER = timedelta(days=3)
UNKNOWN_KINDS_CHECKED_EVERY = timedelta(minutes=10)
_UNKNOWN_KIND = "this version of Postern does not know the kind of this email"
_STOP_TIMEOUT_SECONDS = 5.0
_WARNING, _ERROR = 30, 40

_KNOWN = OutgoingEmail.kind.in_([kind.value for kind in EmailKind])


class EmailDelivery:
    """Sends the emails in the outbox."""

    def __init__(
        self,
        auth: Auth,
        composer: MessageComposer,
        renderer: EmailRenderer,
        transport: Transport,
    ) -> None:
        self._auth = auth
        self._composer = composer
        self._renderer = renderer
        self._transport = transport
        self._stopping = asyncio.Event()
        self._start_lock = asyncio.Lock()
        self._polling: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._unknown_kinds_checked_at: datetime | None = None
        self._reported_kinds: set[str] = set()

    def start(self) -> None:
        """Starts the job."""
        self._polling = asyncio.create_task(self._poll())

    async def stop(self) -> None:
        """Stops the job after the emails that are being sent, or after a few seconds."""
        self._stopping.set()
        if self._polling:
            # Not cancelled at once: emails that it has just claimed would be delayed by minutes.
            _, slow = await asyncio.wait({self._polling}, timeout=_STOP_TIMEOUT_SECONDS)
            await _cancel(slow)
        if self._sending:
            _, slow = await asyncio.wait(self._sending, timeout=_STOP_TIMEOUT_SECONDS)
            await _cancel(slow)

    async def deliver_due(self) -> int:
        """Tries once to send some of the emails that are due. Returns how many were tried.

        Raises DatabaseUnavailable.
        """
        started = await self._start_due()
        await asyncio.gather(*self._sending)
        return started

    async def _poll(self) -> None:
        while not self._stopping.is_set():
            try:
                started = await self._start_due()
            except DatabaseUnavailable as error:
                log.warning("email.deferred", cause=str(error))
                started = 0
            except Exception:
                log.exception("email.internal_error")
                started = 0
            if not started:
                pause = POLL_SECONDS * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)

    async def _start_due(self) -> int:
        """Starts to send emails that are due, up to the limit of concurrent sends."""
        async with self._start_lock:
            await self._check_unknown_kinds()
            emails = await self.claim(CONCURRENT_SENDS - len(self._sending))
            for email in emails:
                task = asyncio.create_task(self._deliver(email))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)
        return len(emails)

    async def claim(self, at_most: int) -> Sequence[OutgoingEmail]:
        """Claims emails that are due, so that no other process sends them."""
        now = self._auth.clock.now()
        due = select(OutgoingEmail.id).where(OutgoingEmail.next_attempt_at <= now, _KNOWN)
        due = due.order_by(OutgoingEmail.next_attempt_at).limit(at_most)
        async with self._auth.db.read() as session:
            # A read first, so that an idle outbox takes no write lock.
            if not at_most or (await session.execute(due)).first() is None:
                return []
        async with self._auth.db.begin() as tx:
            ids = list(await tx.scalars(due.with_for_update(skip_locked=True)))
            claimed = (
                update(OutgoingEmail)
                .where(OutgoingEmail.id.in_(ids))
                .values(
                    next_attempt_at=now + CLAIMED_FOR,
                    attempts=OutgoingEmail.attempts + 1,
                    last_error=None,
                )
            )
            return (await tx.scalars(claimed.returning(OutgoingEmail))).all()

    async def _check_unknown_kinds(self) -> None:
        """Reports emails of unknown kinds, and fails those that are older than three days.

        A newer version of Postern that shares the database may have queued them and will send them.
        """
        now, last = self._auth.clock.now(), self._unknown_kinds_checked_at
        if last is not None and last <= now < last + UNKNOWN_KINDS_CHECKED_EVERY:
            return
        due = select(OutgoingEmail.kind).where(OutgoingEmail.next_attempt_at <= now, not_(_KNOWN))
        async with self._auth.db.read() as session:
            kinds = set(await session.scalars(due.distinct()))
        for kind in sorted(kinds - self._reported_kinds):
            log.warning("email.kind_unknown", kind=kind)
        self._reported_kinds |= kinds
        if kinds:
            await self._fail_unknown_kinds(now - FAILED_AFTER)
        self._unknown_kinds_checked_at = now

    async def _fail_unknown_kinds(self, queued_before: datetime) -> None:
        async with self._auth.db.begin() as tx:
            expired = update(OutgoingEmail).where(
                OutgoingEmail.next_attempt_at.is_not(None),
                OutgoingEmail.created_at <= queued_before,
                not_(_KNOWN),
            )
            failed = expired.values(next_attempt_at=None, last_error=_UNKNOWN_KIND)
            for email in await tx.scalars(failed.returning(OutgoingEmail)):
                log.error("email.failed", kind=email.kind, email_id=str(email.id))

    async def _deliver(self, email: OutgoingEmail) -> None:
        queued = QueuedEmail(email.id, EmailKind(email.kind), email.about)
        try:
            message = await self._composer.compose(queued)
            if message:
                rendered = self._renderer.render(message, email.id, email.created_at)
                await self._transport.send(rendered)
        except (NotDelivered, InvalidTemplate) as error:
            await self._retry_later(email, str(error))
        except DatabaseUnavailable as error:
            log.warning("email.deferred", cause=str(error))
        except Exception as error:
            log.exception("email.internal_error", kind=email.kind, email_id=str(email.id))
            await self._retry_later(email, type(error).__name__)
        else:
            await self._delete(email)
            log.info("email.sent" if message else "email.dropped", kind=email.kind)

    async def _delete(self, email: OutgoingEmail) -> None:
        # The email was sent. Until it is deleted, it would be sent again after the claim ends.
        while True:
            try:
                async with self._auth.db.begin() as tx:
                    await tx.execute(delete(OutgoingEmail).where(OutgoingEmail.id == email.id))
            except DatabaseUnavailable:
                await asyncio.sleep(POLL_SECONDS)
            else:
                return

    async def _retry_later(self, email: OutgoingEmail, error: str) -> None:
        now = self._auth.clock.now()
        failed = now - email.created_at >= FAILED_AFTER
        delay = retry_after(email.attempts) * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
        log.log(
            _ERROR if failed else _WARNING,
            "email.failed" if failed else "email.not_delivered",
            kind=email.kind,
            email_id=str(email.id),
            attempts=email.attempts,
            error=error,
        )
        next_attempt_at = None if failed else now + delay
        with suppress(DatabaseUnavailable):
            async with self._auth.db.begin() as tx:
                await tx.execute(
                    update(OutgoingEmail)
                    .where(OutgoingEmail.id == email.id)
                    .values(next_attempt_at=next_attempt_at, last_error=error[:200])
                )


def retry_after(attempts: int) -> timedelta:
    """Returns the delay before the next attempt: doubled each time, up to half an hour."""
    doubled: timedelta = FIRST_RETRY_AFTER * 2 ** min(max(attempts - 1, 0), 20)
    return min(doubled, LONGEST_RETRY_AFTER)


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
