"""Token introspection (RFC 7662)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from auth.clients import Client
from auth.errors import InvalidRefreshToken, Unauthenticated
from auth.permissions import Actor, Permission, check_may
from auth.sessions import ends_at, is_active
from auth.tokens.refresh_tokens import looks_like_refresh_token
from auth.viewers import get_viewer
from auth.wiring import Auth
from models.session import Session
from models.user import User


@dataclass(frozen=True, slots=True)
class ActiveToken:
    """An active token. Expired, revoked and invalid tokens have no object."""

    kind: str
    user_id: UUID
    username: str
    session_id: UUID
    scope: Sequence[str]
    expires_at: datetime


async def introspect(auth: Auth, actor: Actor, token: str) -> ActiveToken | None:
    """Returns the token if it is active, else None. Checks its session and user in the database.

    Raises Forbidden, DatabaseUnavailable.
    """
    check_may(actor, Permission.TOKENS_INTROSPECT)
    if looks_like_refresh_token(token):
        return await _introspect_refresh_token(auth, token)
    return await _introspect_access_token(auth, actor.client, token)


async def _introspect_access_token(auth: Auth, client: Client, token: str) -> ActiveToken | None:
    try:
        viewer = await get_viewer(auth, client, token)
    except Unauthenticated:
        return None
    return ActiveToken(
        kind="access_token",
        user_id=viewer.user_id,
        username=viewer.user.username,
        session_id=viewer.session_id,
        scope=sorted(viewer.permissions),
        expires_at=viewer.token_expires_at,
    )


async def _introspect_refresh_token(auth: Auth, token: str) -> ActiveToken | None:
    try:
        parsed = auth.refresh_tokens.parse(token)
    except InvalidRefreshToken:
        return None
    query = (
        select(Session, User.username)
        .join(User, User.id == Session.user_id)
        .where(
            Session.id == parsed.session_id,
            Session.generation == parsed.generation,
            User.disabled_at.is_(None),
        )
    )
    async with auth.db.read() as db:
        row = (await db.execute(query)).one_or_none()
    if row is None or not is_active(row.Session, auth.clock.now()):
        return None
    return ActiveToken(
        kind="refresh_token",
        user_id=row.Session.user_id,
        username=row.username,
        session_id=row.Session.id,
        scope=(),
        expires_at=ends_at(row.Session),
    )
