"""Sessions: start, expiry and revocation."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, cast
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, update
from sqlalchemy.ext.asyncio import AsyncSession

from auth.clients import Client
from auth.errors import SessionRevoked, TokenExpired
from models.base import uuid7
from models.session import RevocationReason, Session

_USER_AGENT_MAX_LENGTH = 200


@dataclass(frozen=True, slots=True)
class SessionPolicy:
    """The idle and absolute timeouts of sessions."""

    idle_lifetime: timedelta = timedelta(days=30)
    max_age: timedelta = timedelta(days=365)
    # For this long after a refresh, the previous refresh token gets the same successor, with or
    # without an idempotency key.
    refresh_grace: timedelta = timedelta(seconds=60)
    # For this long, the user can see when and why an ended session ended.
    kept_after_end: timedelta = timedelta(days=30)


def start_session(
    tx: AsyncSession, policy: SessionPolicy, user_id: UUID, client: Client, now: datetime
) -> Session:
    """Adds a new session, with a new id (ASVS 5.0, 7.2.4)."""
    session = Session(
        id=uuid7(),
        user_id=user_id,
        client_address=client.address,
        user_agent=printable_user_agent(client.user_agent),
        generation=0,
        created_at=now,
        last_used_at=now,
        idle_expires_at=now + min(policy.idle_lifetime, policy.max_age),
        expires_at=now + policy.max_age,
    )
    tx.add(session)
    return session


class SessionEnd(Protocol):
    """The columns that say whether a session is active."""

    @property
    def revoked_at(self) -> datetime | None:
        """When the session was ended early."""

    @property
    def idle_expires_at(self) -> datetime:
        """The idle timeout, which each refresh moves."""

    @property
    def expires_at(self) -> datetime:
        """The absolute timeout, which never moves."""


def is_active_at(now: datetime) -> ColumnElement[bool]:
    """Returns the SQL condition of an active session: the same as `check_active`."""
    return (
        Session.revoked_at.is_(None) & (Session.idle_expires_at > now) & (Session.expires_at > now)
    )


def check_active(session: SessionEnd, now: datetime) -> None:
    """Raises SessionRevoked or TokenExpired if the session is not active."""
    if session.revoked_at is not None:
        raise SessionRevoked
    if now >= session.idle_expires_at or now >= session.expires_at:
        raise TokenExpired


def is_active(session: SessionEnd, now: datetime) -> bool:
    """Returns whether the session was neither revoked nor has expired."""
    try:
        check_active(session, now)
    except (SessionRevoked, TokenExpired):
        return False
    return True


def ends_at(session: SessionEnd) -> datetime:
    """Returns when the session expires: at the idle or at the absolute timeout."""
    return min(session.idle_expires_at, session.expires_at)


async def revoke_session(
    tx: AsyncSession, session_id: UUID, reason: RevocationReason, now: datetime
) -> int:
    """Revokes a session. Returns 1, or 0 if it was revoked already."""
    return await _revoke(tx, Session.id == session_id, reason, now)


async def revoke_sessions_of(
    tx: AsyncSession, user_id: UUID, reason: RevocationReason, now: datetime
) -> int:
    """Revokes all sessions of a user. Returns their number."""
    return await _revoke(tx, Session.user_id == user_id, reason, now)


async def revoke_other_sessions(
    tx: AsyncSession, user_id: UUID, *, keep: UUID, now: datetime
) -> int:
    """Revokes all other sessions of a user after a password change. Returns their number."""
    others = (Session.user_id == user_id) & (Session.id != keep)
    return await _revoke(tx, others, RevocationReason.PASSWORD_CHANGED, now)


async def revoke_sessions_by_id(tx: AsyncSession, ids: Collection[UUID], now: datetime) -> int:
    """Revokes these sessions for an admin. Returns their number."""
    return await _revoke(tx, Session.id.in_(ids), RevocationReason.REVOKED_BY_OPERATOR, now)


async def _revoke(
    tx: AsyncSession, which: ColumnElement[bool], reason: RevocationReason, now: datetime
) -> int:
    result = await tx.execute(
        update(Session)
        .where(which, Session.revoked_at.is_(None))
        .values(revoked_at=now, revocation_reason=reason.value)
    )
    return cast("CursorResult[Any]", result).rowcount


def printable_user_agent(user_agent: str | None) -> str | None:
    """Returns the user agent, truncated and without control characters."""
    if user_agent is None:
        return None
    if user_agent.isprintable():
        return user_agent[:_USER_AGENT_MAX_LENGTH]
    return "".join(c for c in user_agent if c.isprintable())[:_USER_AGENT_MAX_LENGTH]
