"""Sends what is in the outbox, in the background: each mail once, and again until it is gone.

A process takes a mail by moving its next attempt into the future, for longer than sending can last.
So only a process that dies between sending and deleting makes a mail arrive twice; both have the
same Message-ID.
"""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from sqlalchemy import delete, not_, select, update

from auth.mail.outbox import Kind
from auth.mail.rendering import MailWriter, TemplateFault
from auth.mail.transports import LONGEST_SECONDS, NotDelivered, Transport
from auth.mail_delivery.messages import Draft, Letters
from auth.wiring import Auth
from models.database import DatabaseUnavailable
from models.outgoing_mail import OutgoingMail

log = structlog.get_logger("postern.auth")

LOOK_EVERY_SECONDS = 1.0
AT_ONCE = 10
TAKEN_FOR = timedelta(seconds=LONGEST_SECONDS) + timedelta(minutes=1)
FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(minutes=30)
GIVEN_UP_AFTER = timedelta(days=3)
UNKNOWN_LOOKED_FOR_EVERY = timedelta(minutes=10)
_UNKNOWN_KIND = "this version of Postern does not know the kind of this email"
_STOP_SECONDS = 5.0
_WARNING, _ERROR = 30, 40

_KNOWN = OutgoingMail.kind.in_([kind.value for kind in Kind])


class MailDelivery:
    """Carries the outbox away."""

    def __init__(
        self, auth: Auth, letters: Letters, writer: MailWriter, transport: Transport
    ) -> None:
        self._auth = auth
        self._letters = letters
        self._writer = writer
        self._transport = transport
        self._stopping = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._unknown_looked_for_at: datetime | None = None
        self._reported_kinds: set[str] = set()

    def start(self) -> None:
        """Begins in the background."""
        self._looking = asyncio.create_task(self._look_for_ever())

    async def stop(self) -> None:
        """Ends when what is being sent is sent, or soon; the rest is sent next time."""
        self._stopping.set()
        if self._looking:
            # Not cut off at once: what it has just taken would wait for a long time.
            _, slow = await asyncio.wait({self._looking}, timeout=_STOP_SECONDS)
            await _cancel(slow)
        if self._sending:
            _, slow = await asyncio.wait(self._sending, timeout=_STOP_SECONDS)
            await _cancel(slow)

    async def deliver_due(self) -> int:
        """Tries once to send what is due, some at a time. Returns how many were tried.

        Raises DatabaseUnavailable.
        """
        tried = await self._begin()
        await asyncio.gather(*self._sending)
        return tried

    async def _look_for_ever(self) -> None:
        while not self._stopping.is_set():
            try:
                begun = await self._begin()
            except DatabaseUnavailable as error:
                log.warning("mail.put_off", cause=str(error))
                begun = 0
            except Exception:
                log.exception("mail.fault")
                begun = 0
            if not begun:
                pause = LOOK_EVERY_SECONDS * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)

    async def _begin(self) -> int:
        """Begins to send what is due, as far as there is room beside what is being sent."""
        async with self._one_at_a_time:
            await self._look_for_unknown_kinds()
            mails = await self._take(AT_ONCE - len(self._sending))
            for mail in mails:
                task = asyncio.create_task(self._deliver(mail))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)
        return len(mails)

    async def _take(self, at_most: int) -> Sequence[OutgoingMail]:
        now = self._auth.clock.now()
        due = select(OutgoingMail.id).where(OutgoingMail.next_attempt_at <= now, _KNOWN)
        due = due.order_by(OutgoingMail.next_attempt_at).limit(at_most)
        async with self._auth.db.read() as session:
            # Looked for first: nobody waits for a writer to find that nothing is due.
            if not at_most or (await session.execute(due)).first() is None:
                return []
        async with self._auth.db.begin() as tx:
            ids = list(await tx.scalars(due.with_for_update(skip_locked=True)))
            taken = (
                update(OutgoingMail)
                .where(OutgoingMail.id.in_(ids))
                .values(
                    next_attempt_at=now + TAKEN_FOR,
                    attempts=OutgoingMail.attempts + 1,
                    last_error=None,
                )
            )
            return (await tx.scalars(taken.returning(OutgoingMail))).all()

    async def _look_for_unknown_kinds(self) -> None:
        """Leaves emails of unknown kinds to the newer version that queued them, for three days.

        Looks now and then, so an email that no version takes does not wait unnoticed.
        """
        now, last = self._auth.clock.now(), self._unknown_looked_for_at
        if last is not None and last <= now < last + UNKNOWN_LOOKED_FOR_EVERY:
            return
        due = select(OutgoingMail.kind).where(OutgoingMail.next_attempt_at <= now, not_(_KNOWN))
        async with self._auth.db.read() as session:
            kinds = set(await session.scalars(due.distinct()))
        for kind in sorted(kinds - self._reported_kinds):
            log.warning("mail.kind_unknown", kind=kind)
        self._reported_kinds |= kinds
        if kinds:
            await self._fail_unknown_kinds(now - GIVEN_UP_AFTER)
        self._unknown_looked_for_at = now

    async def _fail_unknown_kinds(self, queued_before: datetime) -> None:
        async with self._auth.db.begin() as tx:
            expired = update(OutgoingMail).where(
                OutgoingMail.next_attempt_at.is_not(None),
                OutgoingMail.created_at <= queued_before,
                not_(_KNOWN),
            )
            failed = expired.values(next_attempt_at=None, last_error=_UNKNOWN_KIND)
            for mail in await tx.scalars(failed.returning(OutgoingMail)):
                log.error("mail.given_up", kind=mail.kind, mail_id=str(mail.id))

    async def _deliver(self, mail: OutgoingMail) -> None:
        draft = Draft(mail.id, Kind(mail.kind), mail.about)
        try:
            letter = await self._letters.compose(draft)
            if letter:
                message = self._writer.write(letter, mail.id, mail.created_at)
                await self._transport.send(message)
        except (NotDelivered, TemplateFault) as error:
            await self._put_off(mail, str(error))
        except DatabaseUnavailable as error:
            log.warning("mail.put_off", cause=str(error))
        except Exception as error:
            log.exception("mail.fault", kind=mail.kind, mail_id=str(mail.id))
            await self._put_off(mail, type(error).__name__)
        else:
            await self._strike_off(mail)
            log.info("mail.sent" if letter else "mail.dropped", kind=mail.kind)

    async def _strike_off(self, mail: OutgoingMail) -> None:
        # It is on its way: however long the database is away, it must not go again.
        while True:
            try:
                async with self._auth.db.begin() as tx:
                    await tx.execute(delete(OutgoingMail).where(OutgoingMail.id == mail.id))
            except DatabaseUnavailable:
                await asyncio.sleep(LOOK_EVERY_SECONDS)
            else:
                return

    async def _put_off(self, mail: OutgoingMail, error: str) -> None:
        now = self._auth.clock.now()
        given_up = now - mail.created_at >= GIVEN_UP_AFTER
        pause = pause_after(mail.attempts) * random.uniform(0.9, 1.1)  # noqa: S311 - no secret
        log.log(
            _ERROR if given_up else _WARNING,
            "mail.given_up" if given_up else "mail.not_delivered",
            kind=mail.kind,
            mail_id=str(mail.id),
            attempts=mail.attempts,
            error=error,
        )
        next_attempt_at = None if given_up else now + pause
        with suppress(DatabaseUnavailable):
            async with self._auth.db.begin() as tx:
                await tx.execute(
                    update(OutgoingMail)
                    .where(OutgoingMail.id == mail.id)
                    .values(next_attempt_at=next_attempt_at, last_error=error[:200])
                )


def pause_after(attempts: int) -> timedelta:
    """How long to wait before the next attempt: ever longer, up to half an hour."""
    doubled: timedelta = FIRST_PAUSE * 2 ** min(max(attempts - 1, 0), 20)
    return min(doubled, LONGEST_PAUSE)


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
