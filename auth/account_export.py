"""Account export: all data about a user, for that user (GDPR, articles 15 and 20)."""

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action
from auth.audit_list import AuditRecord
from auth.authorization import own_account
from auth.session_list import SessionRecord
from auth.throttling.budgets import EXPORT, Budget
from auth.viewers import Viewer
from auth.wiring import Auth
from models.audit_event import AuditEvent
from models.session import Session

T = TypeVar("T")

# More than a user does in a year. The newest rows are exported.
_MAX_ROWS = 10_000
# A batch blocks the event loop while it is written.
_BATCH_SIZE = 100

_INDENT = "  "


async def export_account(auth: Auth, viewer: Viewer) -> str:
    """Returns a JSON document with the account, its sessions and its audit events.

    Contains the newest 10,000 sessions and events, no password hash, and no client address of
    other users. Raises RateLimited.
    """
    await auth.throttle.consume(Budget(EXPORT, str(viewer.user_id)))
    async with auth.db.read() as session:
        members = {
            "exported_at": _write(auth.clock.now()),
            "account": _write(_account(viewer)),
            "sessions": await _write_sessions(session, viewer.user_id),
            "events": await _write_events(session, viewer.user_id),
        }
    # After the reads, so that a session that ended in the meantime gets no data.
    async with own_account(auth, viewer, Action.USER_EXPORTED):
        pass
    return _join("{", [f'"{name}": {text}' for name, text in members.items()], "}", _INDENT)


def _account(viewer: Viewer) -> dict[str, Any]:
    account = asdict(viewer.user)
    account["roles"] = [role.name for role in viewer.user.roles]
    account["permissions"] = sorted(viewer.user.permissions)
    return account


async def _write_sessions(session: AsyncSession, user_id: UUID) -> str:
    query = select(Session).where(Session.user_id == user_id).order_by(Session.id.desc())
    return await _write_rows(session, query, lambda row: asdict(SessionRecord.of(row)))


async def _write_events(session: AsyncSession, user_id: UUID) -> str:
    own = or_(AuditEvent.actor_id == user_id, AuditEvent.subject_id == user_id)
    query = select(AuditEvent).where(own).order_by(AuditEvent.id.desc())
    return await _write_rows(session, query, lambda row: _event(AuditRecord.of(row), user_id))


def _event(event: AuditRecord, user_id: UUID) -> dict[str, Any]:
    shown = asdict(event)
    if event.actor_id != user_id:
        # The address of an admin is not data of the user.
        del shown["client_address"], shown["user_agent"]
    return shown


async def _write_rows(
    session: AsyncSession, query: Select[T], show: Callable[[T], dict[str, Any]]
) -> str:
    """Returns the rows as a JSON list, one per line."""
    query = query.limit(_MAX_ROWS).execution_options(yield_per=_BATCH_SIZE)
    lines: list[str] = []
    async for rows in (await session.stream_scalars(query)).partitions():
        lines += [_write(show(row)) for row in rows]
    return _join("[", lines, _INDENT + "]", _INDENT * 2)


def _join(start: str, lines: list[str], end: str, indent: str) -> str:
    if not lines:
        return start + end.lstrip()
    inside = ",\n".join(indent + line for line in lines)
    return f"{start}\n{inside}\n{end}"


def _write(value: object) -> str:
    return json.dumps(value, default=_write_scalar, ensure_ascii=False)


def _write_scalar(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
