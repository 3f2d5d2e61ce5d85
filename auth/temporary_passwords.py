"""Temporary passwords: an admin sets one, and the user must replace it within seven days."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from auth.audit import Action
from auth.authorization import managed_user
from auth.errors import UserNotFound
from auth.mail.outbox import EmailKind, queue_notice
from auth.permissions import Actor, Permission, check_may
from auth.records import UserRecord
from auth.sessions import revoke_sessions_of
from auth.tokens.link_tokens import Purpose
from auth.user_links import end_links
from auth.wiring import Auth
from models.session import RevocationReason
from models.user import User

TEMPORARY_PASSWORD_LIFETIME = timedelta(days=7)


def temporary_password_expiry(*, temporary: bool, now: datetime) -> datetime | None:
    """Returns when a password that is set now expires; None if it is not temporary."""
    return now + TEMPORARY_PASSWORD_LIFETIME if temporary else None


def has_expired(expires_at: datetime | None, created_at: datetime, now: datetime) -> bool:
    """Returns whether a temporary password has expired.

    A process of an older version stores no expiry: then it counts from the creation of the user.
    """
    return now >= (expires_at or created_at + TEMPORARY_PASSWORD_LIFETIME)


async def set_temporary_password(
    auth: Auth, actor: Actor, user_id: UUID, password: str
) -> UserRecord:
    """Sets a temporary password, and ends the user's sessions and links.

    Raises Forbidden, UserNotFound, RateLimited, and Refusals with all problems of the password.
    """
    check_may(actor, Permission.USERS_WRITE)
    await _check_password(auth, user_id, password)
    hashed = await auth.passwords.hash(password)
    action = Action.TEMPORARY_PASSWORD_SET
    async with managed_user(auth, actor, action, user_id) as (operation, row):
        tx, now = operation.tx, operation.at
        row.password_hash = hashed
        row.password_is_temporary = True
        row.temporary_password_expires_at = temporary_password_expiry(temporary=True, now=now)
        await end_links(tx, row.id, *Purpose)
        await revoke_sessions_of(tx, row.id, RevocationReason.PASSWORD_RESET_REQUIRED, now)
        queue_notice(tx, auth, EmailKind.PASSWORD_CHANGED, row, row.email)
        return UserRecord.of(row, auth.permissions)


async def _check_password(auth: Auth, user_id: UUID, password: str) -> None:
    async with auth.db.read() as session:
        query = select(User.username, User.email).where(User.id == user_id)
        row = (await session.execute(query)).one_or_none()
    if row is None:
        raise UserNotFound
    auth.password_policy.check(password, username=row.username, email=row.email)
