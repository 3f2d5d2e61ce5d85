"""Token pairs: the access token and refresh token that a sign-in or a refresh issues."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from auth.records import UserRecord
from auth.sessions import ends_at
from auth.tokens import access_tokens as tokens
from auth.tokens.access_tokens import Grant, IssuedToken
from auth.tokens.refresh_tokens import RefreshToken
from auth.wiring import Auth
from models.session import Session


@dataclass(frozen=True, slots=True)
class TokenPair:
    """The tokens of a session, and its user."""

    user: UserRecord
    access_token: IssuedToken
    refresh_token: IssuedToken
    # Set by a sign-in only. The device sends it with later sign-ins.
    device_proof: str | None = field(default=None, repr=False)


async def issue_token_pair(
    auth: Auth, user: UserRecord, session: Session, now: datetime
) -> TokenPair:
    """Issues an access token and a refresh token for the current generation of a session."""
    end = ends_at(session)
    grant = Grant(
        user_id=user.id,
        session_id=session.id,
        roles=[role.name for role in user.roles],
        permissions=sorted(user.permissions),
        ends_at=end,
    )
    access_token = await tokens.issue(auth.keys, auth.token_policy, grant, now)
    refresh_token = auth.refresh_tokens.encode(RefreshToken(session.id, session.generation))
    return TokenPair(user, access_token, IssuedToken(refresh_token, _whole_seconds(end - now)))


def _whole_seconds(duration: timedelta) -> timedelta:
    return timedelta(seconds=int(duration.total_seconds()))
