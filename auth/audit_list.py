"""Lists of audit events: all of them for auditors, and those of one user."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.list_pages import Page
from auth.permissions import Actor, Permission, check_may, may
from auth.wiring import Auth
from models.audit_event import AuditEvent

DELETE_BATCH = 1000


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """An audit event, as it is returned to the layers above."""

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
        """Returns the record of a row."""
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

    def without_client_of_others(self, user_id: UUID) -> "AuditRecord":
        """Returns the event for this user, without the address and browser of admins.

        Events without an actor keep them, so that the user sees where a failed sign-in came from.
        """
        if self.actor_id in {None, user_id}:
            return self
        return replace(self, client_address=None, user_agent=None)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """A filter of audit events. None matches all values."""

    actor_id: UUID | None = None
    subject_id: UUID | None = None
    action: str | None = None


@dataclass(frozen=True, slots=True)
class AuditSlice:
    """One page of audit events, newest first."""

    events: list[AuditRecord]
    has_next: bool
    has_previous: bool


async def list_audit_events(
    auth: Auth, actor: Actor, *, page: Page, filters: AuditFilter
) -> AuditSlice:
    """Returns a page of all audit events. Raises Forbidden."""
    check_may(actor, Permission.AUDIT_READ)
    filtered = {
        AuditEvent.actor_id: filters.actor_id,
        AuditEvent.subject_id: filters.subject_id,
        AuditEvent.action: filters.action,
    }
    conditions = [column == value for column, value in filtered.items() if value is not None]
    async with auth.db.read() as session:
        return _slice(await _rows(session, page, *conditions), page)


async def list_own_audit_events(auth: Auth, actor: Actor, user_id: UUID, page: Page) -> AuditSlice:
    """Returns a page of the events with this user as actor or subject. Raises Forbidden."""
    if actor.user_id != user_id:
        check_may(actor, Permission.AUDIT_READ)
    async with auth.db.read() as session:
        # Two queries, each along an index. One query with OR would sort all events of the user.
        as_actor = await _rows(session, page, AuditEvent.actor_id == user_id)
        as_subject = await _rows(session, page, AuditEvent.subject_id == user_id)
    rows = {row.id: row for row in [*as_actor, *as_subject]}
    ordered = sorted(rows.values(), key=lambda row: row.id, reverse=not page.backwards)
    found = _slice(ordered[: page.limit + 1], page)
    if may(actor, Permission.AUDIT_READ):
        return found
    shown = [event.without_client_of_others(user_id) for event in found.events]
    return replace(found, events=shown)


async def delete_old_audit_events(
    auth: Auth, retention: timedelta, *, batch: int = DELETE_BATCH
) -> None:
    """Deletes the events that are older than `retention`, in batches."""
    limit = auth.clock.now() - retention
    # IDs are ordered by time (UUIDv7), so the primary key finds the oldest events.
    oldest = select(AuditEvent.id, AuditEvent.at).order_by(AuditEvent.id).limit(batch)
    while True:
        async with auth.db.begin() as tx:
            if not await auth.db.try_lock(tx, "audit retention"):
                return
            ids = [row.id for row in await tx.execute(oldest) if row.at < limit]
            await tx.execute(delete(AuditEvent).where(AuditEvent.id.in_(ids)))
        if len(ids) < batch:
            return


async def _rows(
    session: AsyncSession, page: Page, *conditions: ColumnElement[bool]
) -> list[AuditEvent]:
    """Returns the rows of the page, and one more if there is one."""
    query = select(AuditEvent).where(*conditions)
    if page.after is not None:
        query = query.where(AuditEvent.id < page.after)
    if page.before is not None:
        query = query.where(AuditEvent.id > page.before)
    order = AuditEvent.id.asc() if page.backwards else AuditEvent.id.desc()
    return list(await session.scalars(query.order_by(order).limit(page.limit + 1)))


def _slice(rows: list[AuditEvent], page: Page) -> AuditSlice:
    more = len(rows) > page.limit
    events = [AuditRecord.of(row) for row in rows[: page.limit]]
    if page.backwards:
        return AuditSlice(events[::-1], has_next=page.before is not None, has_previous=more)
    return AuditSlice(events, has_next=more, has_previous=page.after is not None)
