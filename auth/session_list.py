"""The sessions of an account, as its owner and operators see them."""

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from auth.list_pages import Page
from auth.permissions import Actor, check_may
from auth.sessions import ends_at, is_active_at
from auth.wiring import Auth
from models.session import Session

_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone|iPad", "iOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session as the other floors see it."""

    id: UUID
    device: str | None
    client_address: str | None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    revocation_reason: str | None

    @classmethod
    def of(cls, row: Session) -> "SessionRecord":
        """Reads a row."""
        return cls(
            id=row.id,
            device=describe_device(row.user_agent),
            client_address=row.client_address,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            expires_at=ends_at(row),
            revoked_at=row.revoked_at,
            revocation_reason=row.revocation_reason,
        )


@dataclass(frozen=True, slots=True)
class SessionSlice:
    """The sessions of a page, newest first."""

    sessions: list[SessionRecord]
    has_next: bool


async def list_sessions(
    auth: Auth, actor: Actor, user_id: UUID, *, page: Page, ended: bool
) -> SessionSlice:
    """The sessions of an account that go on, or those that have ended. Raises Forbidden."""
    if actor.user_id != user_id:
        check_may(actor, "users:read")
    active = is_active_at(auth.clock.now())
    query = (
        select(Session)
        .where(Session.user_id == user_id, ~active if ended else active)
        .order_by(Session.id.desc())
        .limit(page.limit + 1)
    )
    if page.after is not None:
        query = query.where(Session.id < page.after)
    async with auth.db.read() as session:
        rows = list(await session.scalars(query))
    kept = [SessionRecord.of(row) for row in rows[: page.limit]]
    return SessionSlice(kept, has_next=len(rows) > page.limit)


def describe_device(user_agent: str | None) -> str | None:
    """A few words for people, e.g. `Firefox on Linux`; the whole text where it says neither."""
    if not user_agent:
        return None
    browser = next((name for mark, name in _BROWSERS if mark in user_agent), None)
    system = next((name for mark, name in _SYSTEMS if re.search(mark, user_agent)), None)
    if browser and system:
        return f"{browser} on {system}"
    return browser or user_agent
