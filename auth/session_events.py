"""What happens to one's own sessions, as it happens, on whichever machine."""

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

# Instants in the rows come from the clocks of several machines, which may differ by this much.
CLOCKS_DIFFER_BY = timedelta(minutes=5)


class SessionEventKind(StrEnum):
    """What can happen to a session."""

    SIGNED_IN = "signed_in"
    REFRESHED = "refreshed"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """What happened, to which session, and when."""

    kind: SessionEventKind
    session: SessionRecord
    at: datetime


# The state of each session that changed lately: its generation, and when it was revoked.
_States = dict[UUID, tuple[int, datetime | None]]


async def session_events(auth: Auth, viewer: Viewer) -> AsyncGenerator[SessionEvent, None]:
    """What happens to the viewer's sessions from now on; ends when this session is revoked.

    Two changes of one session within moments may be told as the later one. Whether the viewer still
    is one, `viewers.watch_viewer` tells.
    """
    with auth.watchers.watch(viewer.user_id) as watch:
        known = _states(await _changed_lately(auth, viewer.user_id))
        while True:
            if not await watch.wait(float("inf")):
                continue
            try:
                async with auth.watchers.turn():
                    rows = await _changed_lately(auth, viewer.user_id)
            except DatabaseUnavailable:
                # Nothing is lost: what happens meanwhile is in the rows.
                watch.changed.set()
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for event in _news(rows, known):
                yield event
            known |= _states(rows)
            if (state := known.get(viewer.session_id)) and state[1] is not None:
                return


async def _changed_lately(auth: Auth, user_id: UUID) -> list[Session]:
    since = auth.clock.now() - CLOCKS_DIFFER_BY
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


def _news(rows: Iterable[Session], known: _States) -> Iterator[SessionEvent]:
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
