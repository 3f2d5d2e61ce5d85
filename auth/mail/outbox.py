"""The outbox: a mail is written into the transaction of what it tells of, and sent later."""

from enum import StrEnum
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from auth.wiring import Auth
from models.base import uuid7
from models.outgoing_mail import OutgoingMail


class Kind(StrEnum):
    """Which mail; also the name of its template."""

    ACCOUNT_CREATED = "account_created"
    ACCOUNT_DELETED = "account_deleted"
    ACCOUNT_EXISTS = "account_exists"
    EMAIL_CHANGE = "email_change"
    EMAIL_CHANGED = "email_changed"
    EMAIL_VERIFICATION = "email_verification"
    INVITATION = "invitation"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a mail, not a secret
    PASSWORD_RESET = "password_reset"  # noqa: S105 - the same
    PASSWORD_RESET_REQUIRED = "password_reset_required"  # noqa: S105 - the same
    REGISTRATION = "registration"
    TEST = "test"


def queue(tx: AsyncSession, auth: Auth, kind: Kind, **about: str) -> UUID | None:
    """Adds a mail to the transaction. Returns its id; None where this server sends no mail.

    `about` is as little as whoever composes the mail needs to find the rest; no link, no password.
    """
    if not auth.sends_mail:
        return None
    now = auth.clock.now()
    mail = OutgoingMail(
        id=uuid7(), kind=kind.value, about=about, created_at=now, next_attempt_at=now
    )
    tx.add(mail)
    return mail.id


def queue_notice(
    tx: AsyncSession,
    auth: Auth,
    kind: Kind,
    *,
    user_id: UUID,
    username: str,
    email: str | None,
) -> None:
    """Adds a security notice for the address that the account has at this moment.

    The row holds the address and the name, so the notice is sent even if the account is deleted or
    gets another address before that.
    """
    if email:
        # Processes of an older version find the user by its ID.
        queue(tx, auth, kind, user_id=str(user_id), username=username, email=email)
