"""Finds out why an email in the outbox is obsolete: its link or account has ended."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from auth.mail.outbox import EmailKind
from auth.user_links import find_link
from models.invitation import Invitation
from models.outgoing_email import OutgoingEmail
from models.pending_registration import PendingRegistration
from models.user import User

_UNKNOWN_KIND = "This version of Postern does not know this kind of email."
_LINK_ENDED = (
    "Its link was used, replaced or has expired, or the account was deleted. Ask the user to"
    " request a new one."
)
_ACCOUNT_DISABLED = "The account is disabled."
_ACCOUNT_DELETED = "The account was deleted."
_REGISTRATION_ENDED = "The registration was completed or has expired. The user can register again."
_INVITATION_ENDED = "The invitation was used, withdrawn or has expired. Send a new invitation."


async def find_obsolete_reason(
    session: AsyncSession, email: OutgoingEmail, now: datetime
) -> str | None:
    """Returns why the email can no longer be sent; None if it can be sent."""
    match email.kind:
        case (
            EmailKind.ACCOUNT_DELETED
            | EmailKind.ACCOUNT_EXISTS
            | EmailKind.TEST
            | EmailKind.PASSWORD_RESET
        ):
            # The account of a password reset is looked up when the email is composed.
            return None
        case EmailKind.PASSWORD_CHANGED | EmailKind.EMAIL_CHANGED:
            return await _reason_of_notice(session, email)
        case EmailKind.REGISTRATION:
            pending = await session.get(PendingRegistration, email.id)
            return None if pending else _REGISTRATION_ENDED
        case EmailKind.INVITATION:
            invitation = await session.get(Invitation, UUID(email.about["invitation_id"]))
            return None if invitation and invitation.expires_at > now else _INVITATION_ENDED
        case kind if kind in _LINK_KINDS:
            return await _reason_of_link(session, email)
        case _:
            return _UNKNOWN_KIND


_LINK_KINDS = frozenset(
    {
        EmailKind.ACCOUNT_CREATED,
        EmailKind.EMAIL_CHANGE,
        EmailKind.EMAIL_VERIFICATION,
        EmailKind.PASSWORD_RESET_REQUIRED,
    }
)


async def _reason_of_notice(session: AsyncSession, email: OutgoingEmail) -> str | None:
    if "username" in email.about:
        return None
    user = await session.get(User, UUID(email.about["user_id"]))
    return None if user else _ACCOUNT_DELETED


async def _reason_of_link(session: AsyncSession, email: OutgoingEmail) -> str | None:
    found = await find_link(session, email.id)
    if found is None:
        return _LINK_ENDED
    return _ACCOUNT_DISABLED if found[1].disabled_at is not None else None
