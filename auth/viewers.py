"""The viewer: who calls, and what they may do at this moment."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from auth import tokens
from auth.errors import SessionRevoked, TokenExpired, TokenInvalid, UserDisabled
from auth.records import WITH_ROLES, UserRecord
from auth.sessions import has_ended
from auth.tokens import AccessToken
from auth.wiring import Auth
from models.session import Session
from models.user import User


@dataclass(frozen=True, slots=True)
class Viewer:
    """A signed-in person: the account and the session as the rows have them, not the token."""

    user: UserRecord
    session_id: UUID
    token_expires_at: datetime

    @property
    def user_id(self) -> UUID:
        """The id of the account, the `sub` of the token."""
        return self.user.id

    @property
    def permissions(self) -> frozenset[str]:
        """What the viewer may do."""
        return self.user.permissions


async def viewer_of(auth: Auth, bearer_token: str) -> Viewer:
    """Whose token this is, as of now.

    Raises TokenInvalid, TokenExpired, SessionRevoked, UserDisabled; and DatabaseUnavailable, since
    a session that nobody can vouch for is neither good nor bad.
    """
    now = auth.clock.now()
    token = await tokens.verify(auth.keys, auth.token_policy, bearer_token, now)
    session, user = await _load(auth, token)
    if user.disabled:
        raise UserDisabled
    if session.revoked_at is not None:
        raise SessionRevoked
    if has_ended(session, now):
        raise TokenExpired
    return Viewer(user=user, session_id=session.id, token_expires_at=token.expires_at)


async def _load(auth: Auth, token: AccessToken) -> tuple[Session, UserRecord]:
    query = (
        select(Session, User)
        .join(User, User.id == Session.user_id)
        .where(Session.id == token.session_id, User.id == token.user_id)
        .options(WITH_ROLES)
    )
    async with auth.db.read() as db:
        row = (await db.execute(query)).one_or_none()
        if row is None:
            raise TokenInvalid
        return row.Session, UserRecord.of(row.User, auth.permissions)
