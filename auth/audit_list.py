"""The audit trail, as auditors and everybody themselves read it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.list_pages import Page
from auth.permissions import Actor, check_may, may
from auth.wiring import Auth
from models.audit_event import AuditEvent

DELETE_BATCH = 1000


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An act as the other floors see it."""

    id: UUID
    at: datetime
    action: str
    succeeded: bool
    actor_id: UUID | None
    subject_id: UUID | None
    session_id: UUID | None
    client_address: str | None
    user_agent: str | None
    details: Mapping[str, str]

    @classmethod
    def of(cls, row: AuditEvent) -> "AuditRecord":
        """Reads a row."""
        return cls(
            id=row.id,
            at=row.at,
            action=row.action,
            succeeded=row.succeeded,
            actor_id=row.actor_id,
            subject_id=row.subject_id,
            session_id=row.session_id,
            client_address=row.client_address,
            user_agent=row.user_agent,
            details=row.details,
        )

    def without_place_of_others(self, user_id: UUID) -> "AuditRecord":
        """The event for this user: an operator's address and browser are not theirs to see.

        Those of a client without an account stay: the user must see where a sign-in was tried from.
        """
        if self.actor_id in {None, user_id}:
            return self
        return replace(self, client_address=None, user_agent=None)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which acts to list; what is None does not matter."""

    actor_id: UUID | None = None
    subject_id: UUID | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class AuditSlice:
    """The acts of a page, newest first."""

    events: list[AuditRecord]
    has_next: bool
    has_previous: bool


async def list_audit_events(
    auth: Auth, actor: Actor, *, page: Page, filters: AuditFilter
) -> AuditSlice:
    """What was done, by and to everybody. Raises Forbidden."""
    check_may(actor, "audit:read")
    wanted = {
        AuditEvent.actor_id: filters.actor_id,
        AuditEvent.subject_id: filters.subject_id,
        AuditEvent.action: filters.action,
    }
    conditions = [column == value for column, value in wanted.items() if value is not None]
    async with auth.db.read() as session:
        return _cut(await _rows(session, page, *conditions), page)


async def list_own_audit_events(auth: Auth, actor: Actor, user_id: UUID, page: Page) -> AuditSlice:
    """What one person did, and what was done to them. Raises Forbidden."""
    if actor.user_id != user_id:
        check_may(actor, "audit:read")
    async with auth.db.read() as session:
        # Two walks along two indexes: both at once would sort everything that they ever did.
        done = await _rows(session, page, AuditEvent.actor_id == user_id)
        suffered = await _rows(session, page, AuditEvent.subject_id == user_id)
    rows = {row.id: row for row in [*done, *suffered]}
    ordered = sorted(rows.values(), key=lambda row: row.id, reverse=not page.backwards)
    cut = _cut(ordered[: page.limit + 1], page)
    if may(actor, "audit:read"):
        return cut
    return replace(cut, events=[event.without_place_of_others(user_id) for event in cut.events])


async def delete_old_audit_events(auth: Auth, retention: timedelta) -> None:
    """Deletes what is older than this, some at a time."""
    limit = auth.clock.now() - retention
    # Ids are in the order of time: the oldest are at the end of the primary key.
    oldest = select(AuditEvent.id, AuditEvent.at).order_by(AuditEvent.id).limit(DELETE_BATCH)
    while True:
        async with auth.db.begin() as tx:
            if not await auth.db.try_lock(tx, "audit retention"):
                return
            ids = [row.id for row in await tx.execute(oldest) if row.at < limit]
            await tx.execute(delete(AuditEvent).where(AuditEvent.id.in_(ids)))
        if len(ids) < DELETE_BATCH:
            return


async def _rows(
    session: AsyncSession, page: Page, *conditions: ColumnElement[bool]
) -> list[AuditEvent]:
    """The page, and one row more."""
    query = select(AuditEvent).where(*conditions)
    if page.after is not None:
        query = query.where(AuditEvent.id < page.after)
    if page.before is not None:
        query = query.where(AuditEvent.id > page.before)
    order = AuditEvent.id.asc() if page.backwards else AuditEvent.id.desc()
    return list(await session.scalars(query.order_by(order).limit(page.limit + 1)))


def _cut(rows: list[AuditEvent], page: Page) -> AuditSlice:
    more = len(rows) > page.limit
    events = [AuditRecord.of(row) for row in rows[: page.limit]]
    if page.backwards:
        return AuditSlice(events[::-1], has_next=page.before is not None, has_previous=more)
    return AuditSlice(events, has_next=more, has_previous=page.after is not None)
