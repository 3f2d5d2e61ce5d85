"""Lists of the sessions of a user, for the user and for admins."""

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from auth.list_pages import Page
from auth.permissions import Actor, Permission, check_may
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
    """A session, as it is returned to the layers above."""

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
        """Returns the record of a row."""
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
    """One page of sessions, newest first."""

    sessions: list[SessionRecord]
    has_next: bool


async def list_sessions(
    auth: Auth, actor: Actor, user_id: UUID, *, page: Page, ended: bool
) -> SessionSlice:
    """Returns the active or the ended sessions of a user. Raises Forbidden."""
    if actor.user_id != user_id:
        check_may(actor, Permission.USERS_READ)
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
    """Returns a short text such as `Firefox on Linux`, or the user agent if it is unknown."""
    if not user_agent:
        return None
    browser = next((name for token, name in _BROWSERS if token in user_agent), None)
    system = next((name for pattern, name in _SYSTEMS if re.search(pattern, user_agent)), None)
    if browser and system:
        return f"{browser} on {system}"
    return browser or user_agent
