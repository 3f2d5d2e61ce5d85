"""The outbox: emails are queued in the transaction that they report, and sent after it."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from auth.wiring import Auth
from models.base import uuid7
from models.outgoing_email import OutgoingEmail
from models.user import User


class EmailKind(StrEnum):
    """The kind of an email, which is also the name of its template."""

    ACCOUNT_CREATED = "account_created"
    ACCOUNT_DELETED = "account_deleted"
    ACCOUNT_EXISTS = "account_exists"
    EMAIL_CHANGE = "email_change"
    EMAIL_CHANGED = "email_changed"
    EMAIL_VERIFICATION = "email_verification"
    INVITATION = "invitation"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a kind of email, not a secret
    PASSWORD_RESET = "password_reset"  # noqa: S105 - the same
    PASSWORD_RESET_REQUIRED = "password_reset_required"  # noqa: S105 - the same
    REGISTRATION = "registration"
    TEST = "test"


def queue_email(tx: AsyncSession, auth: Auth, kind: EmailKind, **about: str) -> UUID | None:
    """Queues an email in the transaction. Returns its ID, or None if the server sends no email.

    `about` holds only what the composer needs to find the rest. It holds no link and no password.
    """
    if not auth.sends_email:
        return None
    now = auth.clock.now()
    email = OutgoingEmail(
        id=uuid7(), kind=kind.value, about=about, created_at=now, next_attempt_at=now
    )
    tx.add(email)
    return email.id


def queue_notice(
    tx: AsyncSession, auth: Auth, kind: EmailKind, user: User, email: str | None
) -> None:
    """Queues a security notice to an address that the user has, or had before.

    The row holds the address and the username, so the notice is sent even if the account is
    deleted or its address changes first.
    """
    if email:
        # Processes of an older version need the user ID.
        queue_email(tx, auth, kind, user_id=str(user.id), username=user.username, email=email)
