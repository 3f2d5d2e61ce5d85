"""Exchange a refresh token, once, for a new pair of tokens.

RFC 9700, 4.14.2: a token that is used a second time is in two hands, and nobody can tell which of
them is the owner's; so the session ends. Two tabs that refresh at once, and a reply that was lost,
look the same for a moment: within the grace window the same successor is given again.
"""

from datetime import datetime, timedelta
from enum import Enum, auto

import structlog
from sqlalchemy import ColumnElement, case, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Act, Action, record
from auth.clients import Client
from auth.errors import InvalidRefreshToken
from auth.keys import LEEWAY
from auth.records import WITH_ROLES, UserRecord
from auth.refresh_tokens import RefreshToken
from auth.sessions import SessionPolicy, has_ended, revoke_session
from auth.token_pairs import SignedIn, issue_pair
from auth.wiring import Auth
from models.session import RevocationReason, Session
from models.user import User

log = structlog.get_logger("postern.auth")


class _Verdict(Enum):
    """What a refresh token that did not win is."""

    LATE = auto()
    DEAD = auto()
    REPLAYED = auto()


async def refresh(auth: Auth, client: Client, text: str) -> SignedIn:
    """Continues a session. Raises InvalidRefreshToken, DatabaseUnavailable.

    A refresh that fails for the database has not been used: the client may repeat it.
    """
    token = auth.refresh_tokens.parse(text)
    now = auth.clock.now()
    async with auth.db.begin() as tx:
        session = await _advance(tx, auth.session_policy, token, now)
        if session is None:
            session = await _get_late(tx, auth.session_policy, token, client, now)
        # A replay revokes: that must be committed, so the refusal is raised after the transaction.
        user = await _load_user(auth, tx, session) if session else None
    if session is None or user is None:
        raise InvalidRefreshToken
    return await issue_pair(auth, user, session, now)


async def _advance(
    tx: AsyncSession, policy: SessionPolicy, token: RefreshToken, now: datetime
) -> Session | None:
    """Moves the session on by one generation: one conditional UPDATE, which one of many wins."""
    idle_expires_at = now + policy.idle_lifetime
    return (
        await tx.scalars(
            update(Session)
            .where(
                Session.id == token.session_id,
                Session.generation == token.generation,
                Session.revoked_at.is_(None),
                Session.idle_expires_at > now,
                Session.expires_at > now,
                _owner_is_active(),
            )
            .values(
                generation=Session.generation + 1,
                last_used_at=now,
                # The absolute end never moves.
                idle_expires_at=case(
                    (Session.expires_at < idle_expires_at, Session.expires_at),
                    else_=idle_expires_at,
                ),
            )
            .returning(Session)
        )
    ).one_or_none()


async def _get_late(
    tx: AsyncSession, policy: SessionPolicy, token: RefreshToken, client: Client, now: datetime
) -> Session | None:
    session = await tx.get(Session, token.session_id, with_for_update=True)
    if session is None:
        return None
    match _judge(session, policy.refresh_grace, token, now):
        case _Verdict.LATE:
            return session
        case _Verdict.DEAD:
            return None
        case _Verdict.REPLAYED:
            log.warning("session.replayed", session_id=str(session.id))
            await revoke_session(tx, session.id, RevocationReason.REFRESH_TOKEN_REPLAYED, now)
            record(
                tx,
                Act(
                    Action.SESSION_REPLAYED,
                    now,
                    client,
                    subject_id=session.user_id,
                    session_id=session.id,
                    succeeded=False,
                ),
            )
            return None


def _judge(session: Session, grace: timedelta, token: RefreshToken, now: datetime) -> _Verdict:
    if has_ended(session, now):
        return _Verdict.DEAD
    if token.generation >= session.generation:
        # Its owner is disabled, or the database was restored from a backup: no second use.
        return _Verdict.DEAD
    since = now - session.last_used_at
    if session.generation == token.generation + 1:
        if -LEEWAY <= since <= grace:
            return _Verdict.LATE
        if since < -LEEWAY:
            # A clock was set back. The window stays shut, and nobody is accused.
            return _Verdict.DEAD
    return _Verdict.REPLAYED


def _owner_is_active() -> ColumnElement[bool]:
    owner = select(User.id).where(User.id == Session.user_id, User.disabled_at.is_(None))
    return owner.exists()


async def _load_user(auth: Auth, tx: AsyncSession, session: Session) -> UserRecord | None:
    row = await tx.scalar(
        select(User)
        .where(User.id == session.user_id, User.disabled_at.is_(None))
        .options(WITH_ROLES)
    )
    return UserRecord.of(row, auth.permissions) if row else None
