"""All that is kept about one person, for that person (GDPR, articles 15 and 20)."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action, record
from auth.audit_list import AuditRecord
from auth.reauthentication import own_act
from auth.session_list import SessionRecord
from auth.throttling import EXPORT, Budget
from auth.viewers import Viewer
from auth.wiring import Auth
from models.audit_event import AuditEvent
from models.session import Session

# The newest of each: what one person did in a year is less.
_AT_MOST = 10_000


async def export_account(auth: Auth, viewer: Viewer) -> str:
    """A JSON document: the account, its sessions, and what the audit trail says of it.

    Sessions and events are the newest 10,000. No password hash is in it, and of what others did to
    the account not from where they did it. Raises RateLimited.
    """
    await auth.throttle.attempt(Budget(EXPORT, str(viewer.user_id)))
    async with auth.db.read() as session:
        document = {
            "exported_at": auth.clock.now(),
            "account": _account(viewer),
            "sessions": [asdict(s) for s in await _sessions(session, viewer.user_id)],
            "events": [_event(e, viewer.user_id) for e in await _events(session, viewer.user_id)],
        }
    async with auth.db.begin() as tx:
        record(tx, own_act(auth, viewer, Action.USER_EXPORTED))
    return json.dumps(document, default=_plain, ensure_ascii=False, indent=2)


def _account(viewer: Viewer) -> dict[str, Any]:
    account = asdict(viewer.user)
    account["roles"] = [role.name for role in viewer.user.roles]
    account["permissions"] = sorted(viewer.user.permissions)
    return account


async def _sessions(session: AsyncSession, user_id: UUID) -> list[SessionRecord]:
    query = select(Session).where(Session.user_id == user_id).order_by(Session.id.desc())
    return [SessionRecord.of(row) for row in await session.scalars(query.limit(_AT_MOST))]


async def _events(session: AsyncSession, user_id: UUID) -> list[AuditRecord]:
    theirs = or_(AuditEvent.actor_id == user_id, AuditEvent.subject_id == user_id)
    query = select(AuditEvent).where(theirs).order_by(AuditEvent.id.desc()).limit(_AT_MOST)
    return [AuditRecord.of(row) for row in await session.scalars(query)]


def _event(event: AuditRecord, user_id: UUID) -> dict[str, Any]:
    told = asdict(event)
    if event.actor_id != user_id:
        # An operator's address is not the person's data.
        del told["client_address"], told["user_agent"]
    return told


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
