"""Generations of a session: each refresh advances the session by one.

If a refresh token is used twice, it may be stolen (RFC 9700, 4.14.2), and the session ends. Three
cases look like theft but are not. They get the same successor again, until the successor is used:

- The client repeats a refresh with the idempotency key of its first try: at any time.
- Two tabs refresh at the same moment: within the grace window.
- A client without a key repeats a refresh whose reply was lost: within the grace window.
"""

from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

import structlog
from sqlalchemy import ColumnElement, case, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action, AuditEntry, record
from auth.clients import Client
from auth.sessions import is_active, is_active_at, revoke_session
from auth.tokens.key_set import LEEWAY
from auth.tokens.refresh_tokens import RefreshToken
from auth.wiring import Auth
from models.database import DatabaseUnavailable
from models.session import RevocationReason, Session
from models.user import User

log = structlog.get_logger("postern.auth")

# A refresh that took longer than this gets a new time after its commit.
_SLOW_COMMIT = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request to exchange a refresh token."""

    token: RefreshToken
    idempotency_key: str | None = field(repr=False)
    client: Client


class _Verdict(Enum):
    """The state of a refresh token that could not advance its session."""

    REPEATED = auto()
    EXPIRED = auto()
    REPLAYED = auto()


async def advance_generation(
    tx: AsyncSession, auth: Auth, exchange: Exchange, now: datetime
) -> Session | None:
    """Advances the session by one conditional UPDATE, so that only one of several requests wins.

    Returns None if another request has won, the session has ended or its user is disabled.
    """
    token, idle_expires_at = exchange.token, now + auth.session_policy.idle_lifetime
    advanced = (
        update(Session)
        .where(
            Session.id == token.session_id,
            Session.generation == token.generation,
            is_active_at(now),
            _owner_is_active(),
        )
        .values(
            generation=Session.generation + 1,
            idempotency_key_hmac=_hmac_of(auth, exchange),
            last_used_at=now,
            # The absolute timeout never moves.
            idle_expires_at=case(
                (Session.expires_at < idle_expires_at, Session.expires_at), else_=idle_expires_at
            ),
        )
        .returning(Session)
    )
    return (await tx.scalars(advanced)).one_or_none()


def _owner_is_active() -> ColumnElement[bool]:
    owner = select(User.id).where(User.id == Session.user_id, User.disabled_at.is_(None))
    return owner.exists()


def _hmac_of(auth: Auth, exchange: Exchange) -> bytes | None:
    if exchange.idempotency_key is None:
        return None
    return auth.refresh_tokens.hash_idempotency_key(exchange.token, exchange.idempotency_key)


async def start_grace_at_commit(auth: Auth, session: Session) -> None:
    """Moves the start of the grace window to now, if the commit of the refresh was slow."""
    committed_at = auth.clock.now()
    if committed_at - session.last_used_at < _SLOW_COMMIT:
        return
    # The refresh itself is committed: its reply must not depend on this.
    with suppress(DatabaseUnavailable):
        async with auth.db.begin() as tx:
            await tx.execute(
                update(Session)
                .where(Session.id == session.id, Session.generation == session.generation)
                .values(last_used_at=committed_at)
            )


async def find_repeated(
    tx: AsyncSession, auth: Auth, exchange: Exchange, now: datetime
) -> Session | None:
    """Returns the session if this refresh repeats the last one. Revokes it after a replay."""
    # The lock is a write on purpose: with a synchronous standby the reply then waits until the
    # refresh that it repeats is replicated. So a failover cannot undo a refresh that was confirmed.
    session = await tx.get(Session, exchange.token.session_id, with_for_update=True)
    if session is None:
        return None
    verdict = _judge(auth, session, exchange, now)
    if verdict is _Verdict.REPLAYED:
        await _revoke_replayed(tx, session, exchange.client, now)
    return session if verdict is _Verdict.REPEATED else None


def _judge(auth: Auth, session: Session, exchange: Exchange, now: datetime) -> _Verdict:
    token = exchange.token
    if not is_active(session, now):
        return _Verdict.EXPIRED
    if token.generation >= session.generation:
        # The user is disabled, or the database was restored from a backup: not a second use.
        return _Verdict.EXPIRED
    if session.generation > token.generation + 1:
        # The successor has been used.
        return _Verdict.REPLAYED
    if _has_key_of_first_try(auth, session, exchange):
        return _Verdict.REPEATED
    since = now - session.last_used_at
    if since < -LEEWAY:
        # A clock was set back. The grace window stays closed, and the session does not end.
        return _Verdict.EXPIRED
    return _Verdict.REPEATED if since <= auth.session_policy.refresh_grace else _Verdict.REPLAYED


def _has_key_of_first_try(auth: Auth, session: Session, exchange: Exchange) -> bool:
    return exchange.idempotency_key is not None and auth.refresh_tokens.matches_idempotency_key(
        exchange.token, exchange.idempotency_key, session.idempotency_key_hmac
    )


async def _revoke_replayed(
    tx: AsyncSession, session: Session, client: Client, now: datetime
) -> None:
    log.warning("session.replayed", session_id=str(session.id))
    await revoke_session(tx, session.id, RevocationReason.REFRESH_TOKEN_REPLAYED, now)
    entry = AuditEntry(
        Action.SESSION_REPLAYED,
        now,
        client,
        subject_id=session.user_id,
        session_id=session.id,
        succeeded=False,
    )
    record(tx, entry)
