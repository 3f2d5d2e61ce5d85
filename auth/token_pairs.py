"""What a login and a refresh give: an access token and the refresh token that renews it."""

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
    """Who signed in, and the tokens of the session."""

    user: UserRecord
    access_token: IssuedToken
    refresh_token: IssuedToken
    # Set by a login: what the device can show at a later one.
    device_proof: str | None = field(default=None, repr=False)


async def issue_token_pair(
    auth: Auth, user: UserRecord, session: Session, now: datetime
) -> TokenPair:
    """Signs the tokens of a session as it stands."""
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
