"""Events of the viewer's sessions: sign-in, refresh and end, from all processes."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from sqlalchemy import or_, select

from auth.session_list import SessionRecord
from auth.viewers import RETRY_SECONDS, Viewer
from auth.wiring import Auth
from models.database import DatabaseUnavailable
from models.session import Session

# The clocks of the machines that write the rows may differ by this much.
MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)


class SessionEventKind(StrEnum):
    """The kinds of session events."""

    SIGNED_IN = "signed_in"
    REFRESHED = "refreshed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """An event of a session."""

    kind: SessionEventKind
    session: SessionRecord
    at: datetime


# The generation and the time of revocation of each session that changed recently.
_States = dict[UUID, tuple[int, datetime | None]]


async def session_events(auth: Auth, viewer: Viewer) -> AsyncGenerator[SessionEvent, None]:
    """Yields the events of the viewer's sessions, until the viewer's own session is revoked.

    Two changes of one session in a short time may be reported as one event, the later one. This
    does not check the viewer; use `viewers.watch_viewer` for that.
    """
    with auth.watchers.watch(viewer.user_id) as watch:
        known = _states(await _list_recently_changed(auth, viewer.user_id))
        while True:
            if not await watch.wait(float("inf")):
                continue
            try:
                async with auth.watchers.read_slot():
                    rows = await _list_recently_changed(auth, viewer.user_id)
            except DatabaseUnavailable:
                # No event is lost: the rows are read again after the outage.
                watch.changed.set()
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for event in _new_events(rows, known):
                yield event
            known |= _states(rows)
            if (state := known.get(viewer.session_id)) and state[1] is not None:
                return


async def _list_recently_changed(auth: Auth, user_id: UUID) -> list[Session]:
    since = auth.clock.now() - MAX_CLOCK_DIFFERENCE
    query = (
        select(Session)
        .where(
            Session.user_id == user_id,
            or_(Session.last_used_at > since, Session.revoked_at > since),
        )
        .order_by(Session.last_used_at)
    )
    async with auth.db.read() as session:
        return list(await session.scalars(query))


def _states(rows: Iterable[Session]) -> _States:
    return {row.id: (row.generation, row.revoked_at) for row in rows}


def _new_events(rows: Iterable[Session], known: _States) -> Iterator[SessionEvent]:
    for row in rows:
        if known.get(row.id) != (row.generation, row.revoked_at):
            yield _event(row)


def _event(row: Session) -> SessionEvent:
    session = SessionRecord.of(row)
    if row.revoked_at is not None:
        return SessionEvent(SessionEventKind.REVOKED, session, row.revoked_at)
    if row.generation:
        return SessionEvent(SessionEventKind.REFRESHED, session, row.last_used_at)
    return SessionEvent(SessionEventKind.SIGNED_IN, session, row.created_at)
