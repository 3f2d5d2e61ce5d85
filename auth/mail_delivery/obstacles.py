"""Why an email of the outbox cannot be sent any more: what it is about has ended or expired."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from auth.mail.outbox import Kind
from auth.user_links import find_request
from models.invitation import Invitation
from models.outgoing_mail import OutgoingMail
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


async def find_obstacle(session: AsyncSession, mail: OutgoingMail, now: datetime) -> str | None:
    """Returns why the email cannot be sent any more; None if it can be."""
    match mail.kind:
        case Kind.ACCOUNT_DELETED | Kind.ACCOUNT_EXISTS | Kind.TEST | Kind.PASSWORD_RESET:
            # A password reset looks for the account when the email is composed.
            return None
        case Kind.PASSWORD_CHANGED | Kind.EMAIL_CHANGED:
            return await _obstacle_of_notice(session, mail)
        case Kind.REGISTRATION:
            pending = await session.get(PendingRegistration, mail.id)
            return None if pending else _REGISTRATION_ENDED
        case Kind.INVITATION:
            invitation = await session.get(Invitation, UUID(mail.about["invitation_id"]))
            return None if invitation and invitation.expires_at > now else _INVITATION_ENDED
        case kind if kind in _LINK_KINDS:
            return await _obstacle_of_link(session, mail)
        case _:
            return _UNKNOWN_KIND


_LINK_KINDS = frozenset(
    {
        Kind.ACCOUNT_CREATED,
        Kind.EMAIL_CHANGE,
        Kind.EMAIL_VERIFICATION,
        Kind.PASSWORD_RESET_REQUIRED,
    }
)


async def _obstacle_of_notice(session: AsyncSession, mail: OutgoingMail) -> str | None:
    if "username" in mail.about:
        return None
    user = await session.get(User, UUID(mail.about["user_id"]))
    return None if user else _ACCOUNT_DELETED


async def _obstacle_of_link(session: AsyncSession, mail: OutgoingMail) -> str | None:
    found = await find_request(session, mail.id)
    if found is None:
        return _LINK_ENDED
    return _ACCOUNT_DISABLED if found[1].disabled_at is not None else None
