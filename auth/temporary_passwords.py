"""Temporary passwords: an operator chooses one, which allows choosing another for seven days."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from auth.audit import Action
from auth.authorization import authorized, check_may_grant
from auth.errors import Refusals, UserNotFound
from auth.mail.outbox import EmailKind, queue_notice
from auth.permissions import Actor, check_may
from auth.records import UserRecord
from auth.sessions import revoke_sessions_of
from auth.tokens.link_tokens import Purpose
from auth.user_links import end_requests
from auth.wiring import Auth
from models.session import RevocationReason
from models.user import User

TEMPORARY_PASSWORD_LIFETIME = timedelta(days=7)


def expiry_of(*, temporary: bool, now: datetime) -> datetime | None:
    """When a password that is set now expires; None if it is not a temporary one."""
    return now + TEMPORARY_PASSWORD_LIFETIME if temporary else None


def has_expired(expires_at: datetime | None, created_at: datetime, now: datetime) -> bool:
    """Whether a temporary password can no longer be used, not even to choose another one.

    A process of an older version stores no time of expiry; it counts from the account's creation.
    """
    return now >= (expires_at or created_at + TEMPORARY_PASSWORD_LIFETIME)


async def set_temporary_password(
    auth: Auth, actor: Actor, user_id: UUID, password: str
) -> UserRecord:
    """Gives a user a temporary password, and ends their sessions and links.

    Raises Forbidden, UserNotFound, RateLimited, and Refusals with everything that is wrong with the
    password.
    """
    check_may(actor, "users:write")
    await _check_password(auth, user_id, password)
    hashed = await auth.passwords.hash(password)
    action = Action.TEMPORARY_PASSWORD_SET
    async with authorized(auth, actor, action, "users:write", subject_id=user_id) as operation:
        tx, row, now = operation.tx, await operation.get_subject(), operation.at
        check_may_grant(operation.actor, UserRecord.of(row, auth.permissions).roles)
        row.password_hash = hashed
        row.password_is_temporary = True
        row.temporary_password_expires_at = expiry_of(temporary=True, now=now)
        await end_requests(tx, row.id, *Purpose)
        await revoke_sessions_of(tx, row.id, RevocationReason.PASSWORD_RESET_REQUIRED, now)
        notice = EmailKind.PASSWORD_CHANGED
        queue_notice(tx, auth, notice, user_id=row.id, username=row.username, email=row.email)
        return UserRecord.of(row, auth.permissions)


async def _check_password(auth: Auth, user_id: UUID, password: str) -> None:
    async with auth.db.read() as session:
        query = select(User.username, User.email).where(User.id == user_id)
        row = (await session.execute(query)).one_or_none()
    if row is None:
        raise UserNotFound
    policy = auth.password_policy
    problems = list(policy.problems(password, username=row.username, email=row.email))
    if problems:
        raise Refusals(*problems)
