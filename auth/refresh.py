"""Refresh: exchange a refresh token, once, for a new pair of tokens."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from auth.clients import Client
from auth.errors import InvalidRefreshToken
from auth.records import WITH_ROLES, UserRecord
from auth.session_generations import (
    Exchange,
    advance_generation,
    find_repeated,
    start_grace_at_commit,
)
from auth.token_pairs import TokenPair, issue_token_pair
from auth.tokens.key_set import SigningKeysUnavailable
from auth.tokens.refresh_tokens import RefreshToken
from auth.wiring import Auth
from models.session import Session
from models.user import User


async def refresh(
    auth: Auth, client: Client, text: str, *, idempotency_key: str | None = None
) -> TokenPair:
    """Continues a session. Raises InvalidRefreshToken, DatabaseUnavailable.

    After DatabaseUnavailable the refresh may be committed or not. The client repeats it with the
    same idempotency key.
    """
    exchange = Exchange(await _parse(auth, text), idempotency_key, client)
    await auth.keys.check_can_sign()
    async with auth.db.begin() as tx:
        # Read here, because the transaction may have waited for a lock.
        now = auth.clock.now()
        advanced = await advance_generation(tx, auth, exchange, now)
        session = advanced or await find_repeated(tx, auth, exchange, now)
        # A replay revokes the session. That is committed, so the refusal is raised afterwards.
        user = await _find_user(tx, auth, session) if session else None
    if advanced:
        await start_grace_at_commit(auth, advanced)
    if session is None or user is None:
        raise InvalidRefreshToken
    return await issue_token_pair(auth, user, session, now)


async def _parse(auth: Auth, text: str) -> RefreshToken:
    try:
        return auth.refresh_tokens.parse(text)
    except InvalidRefreshToken:
        if await auth.keys.can_decrypt_all():
            raise
        # This process does not have the newest secret. The token may be valid in the others.
        raise SigningKeysUnavailable from None


async def _find_user(tx: AsyncSession, auth: Auth, session: Session) -> UserRecord | None:
    active = select(User).where(User.id == session.user_id, User.disabled_at.is_(None))
    row = await tx.scalar(active.options(WITH_ROLES))
    return UserRecord.of(row, auth.permissions) if row else None
