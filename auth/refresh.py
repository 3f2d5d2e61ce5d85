"""Exchange a refresh token, once, for a new pair of tokens.

A refresh token that is used twice may be stolen (RFC 9700, 4.14.2): the session ends. Three cases
look the same and are not theft, so they get the same successor again, until it is used:

- The client repeats a refresh with the idempotency key of its first try: at any time.
- Two tabs refresh at the same moment: within the grace window.
- A client without a key repeats a refresh whose reply was lost: within the grace window.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

import structlog
from sqlalchemy import ColumnElement, case, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from auth.audit import Action, AuditEntry, record
from auth.clients import Client
from auth.errors import InvalidRefreshToken
from auth.records import WITH_ROLES, UserRecord
from auth.sessions import is_active, is_active_at, revoke_session
from auth.token_pairs import TokenPair, issue_token_pair
from auth.tokens.key_set import LEEWAY, SigningKeysUnavailable
from auth.tokens.refresh_tokens import RefreshToken
from auth.wiring import Auth
from models.database import DatabaseUnavailable
from models.session import RevocationReason, Session
from models.user import User

log = structlog.get_logger("postern.auth")


# A refresh that took longer than this is stamped again after its commit.
_SLOW_COMMIT = timedelta(seconds=1)


class _Verdict(Enum):
    """What a refresh token is that is not of the current generation."""

    REPEATED = auto()
    DEAD = auto()
    REPLAYED = auto()


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One request for a refresh."""

    token: RefreshToken
    idempotency_key: str | None
    client: Client


async def refresh(
    auth: Auth, client: Client, text: str, *, idempotency_key: str | None = None
) -> TokenPair:
    """Continues a session. Raises InvalidRefreshToken, DatabaseUnavailable.

    After DatabaseUnavailable the refresh may be committed or not. The client repeats it with the
    same key.
    """
    attempt = _Attempt(await _parse(auth, text), idempotency_key, client)
    await auth.keys.check_can_sign()
    async with auth.db.begin() as tx:
        # Read here, because the transaction may have waited for its turn.
        now = auth.clock.now()
        advanced = await _advance(tx, auth, attempt, now)
        session = advanced or await _find_repeated(tx, auth, attempt, now)
        # A replay revokes the session. That is committed, so the refusal is raised afterwards.
        user = await _load_user(auth, tx, session) if session else None
    if advanced:
        await _count_grace_from_commit(auth, advanced)
    if session is None or user is None:
        raise InvalidRefreshToken
    return await issue_token_pair(auth, user, session, now)


async def _parse(auth: Auth, text: str) -> RefreshToken:
    try:
        return auth.refresh_tokens.parse(text)
    except InvalidRefreshToken:
        if await auth.keys.all_decrypt():
            raise
        # This process does not have the newest secret. The token may be valid in the others.
        raise SigningKeysUnavailable from None


async def _advance(
    tx: AsyncSession, auth: Auth, attempt: _Attempt, now: datetime
) -> Session | None:
    """Moves the session to the next generation with one conditional UPDATE, which one caller wins.

    Returns None if another caller has won, or the session has ended.
    """
    token, idle_expires_at = attempt.token, now + auth.session_policy.idle_lifetime
    return (
        await tx.scalars(
            update(Session)
            .where(
                Session.id == token.session_id,
                Session.generation == token.generation,
                is_active_at(now),
                _owner_is_active(),
            )
            .values(
                generation=Session.generation + 1,
                idempotency_key_hmac=_hmac_of(auth, attempt),
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


def _hmac_of(auth: Auth, attempt: _Attempt) -> bytes | None:
    if attempt.idempotency_key is None:
        return None
    return auth.refresh_tokens.hash_idempotency_key(attempt.token, attempt.idempotency_key)


async def _count_grace_from_commit(auth: Auth, session: Session) -> None:
    """Moves the begin of the grace window to the commit, if that took noticeable time."""
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


async def _find_repeated(
    tx: AsyncSession, auth: Auth, attempt: _Attempt, now: datetime
) -> Session | None:
    """Returns the session if this refresh was made before. Ends it if the token is replayed."""
    # The lock is a write on purpose: with a synchronous standby the reply then waits until the
    # refresh that it repeats is replicated. A failover cannot take back what was acknowledged.
    session = await tx.get(Session, attempt.token.session_id, with_for_update=True)
    if session is None:
        return None
    match _judge(auth, session, attempt, now):
        case _Verdict.REPEATED:
            return session
        case _Verdict.DEAD:
            return None
        case _Verdict.REPLAYED:
            await _revoke_replayed(tx, session, attempt.client, now)
            return None


def _judge(auth: Auth, session: Session, attempt: _Attempt, now: datetime) -> _Verdict:
    token = attempt.token
    if not is_active(session, now):
        return _Verdict.DEAD
    if token.generation >= session.generation:
        # Its owner is disabled, or the database was restored from a backup: not a second use.
        return _Verdict.DEAD
    if session.generation > token.generation + 1:
        # The successor has been used.
        return _Verdict.REPLAYED
    if _has_key_of_first_try(auth, session, attempt):
        return _Verdict.REPEATED
    since = now - session.last_used_at
    if since < -LEEWAY:
        # A clock was set back. The grace window stays closed, and the session does not end.
        return _Verdict.DEAD
    return _Verdict.REPEATED if since <= auth.session_policy.refresh_grace else _Verdict.REPLAYED


def _has_key_of_first_try(auth: Auth, session: Session, attempt: _Attempt) -> bool:
    return attempt.idempotency_key is not None and auth.refresh_tokens.was_exchanged_with(
        attempt.token, attempt.idempotency_key, session.idempotency_key_hmac
    )


async def _revoke_replayed(
    tx: AsyncSession, session: Session, client: Client, now: datetime
) -> None:
    log.warning("session.replayed", session_id=str(session.id))
    await revoke_session(tx, session.id, RevocationReason.REFRESH_TOKEN_REPLAYED, now)
    act = AuditEntry(
        Action.SESSION_REPLAYED,
        now,
        client,
        subject_id=session.user_id,
        session_id=session.id,
        succeeded=False,
    )
    record(tx, act)


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
