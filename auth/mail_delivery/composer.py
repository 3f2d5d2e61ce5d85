"""Composes emails of the outbox from the state of their accounts at the time of sending."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from auth.clients import Client
from auth.invitations import find_valid_invitation, issue_invitation_token
from auth.mail.outbox import EmailKind
from auth.mail.rendering import Message
from auth.password_reset import start_password_reset
from auth.pending_registrations import issue_registration_token
from auth.tokens.link_tokens import LIFETIMES, Purpose
from auth.unverified_emails import can_be_verified
from auth.user_creation import find_email_holder
from auth.user_links import find_link, issue_link_token
from auth.wiring import Auth
from models.pending_registration import PendingRegistration
from models.user import User

_PAGES = {
    EmailKind.ACCOUNT_CREATED: "reset-password",
    EmailKind.EMAIL_CHANGE: "confirm-email",
    EmailKind.EMAIL_VERIFICATION: "verify-email",
    EmailKind.INVITATION: "accept-invitation",
    EmailKind.PASSWORD_RESET: "reset-password",
    EmailKind.PASSWORD_RESET_REQUIRED: "reset-password",
    EmailKind.REGISTRATION: "verify-email",
}
# Text that looks like a domain or a telephone number.
_LINKABLE = re.compile(r"\.|(\d\D*){5}")


@dataclass(frozen=True, slots=True)
class QueuedEmail:
    """An email in the outbox."""

    id: UUID
    kind: EmailKind
    about: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MessageComposer:
    """Composes messages. `account_url` is the base URL of the account pages, without a slash."""

    auth: Auth
    account_url: str

    async def compose(self, queued: QueuedEmail) -> Message | None:
        """Returns the message, or None if the email is obsolete or has no recipient.

        Raises DatabaseUnavailable.
        """
        compose: Callable[[QueuedEmail], Awaitable[Message | None]]
        match queued.kind:
            case EmailKind.PASSWORD_RESET:
                compose = self._compose_password_reset
            case EmailKind.REGISTRATION:
                compose = self._compose_registration
            case EmailKind.INVITATION:
                compose = self._compose_invitation
            case EmailKind.PASSWORD_CHANGED | EmailKind.EMAIL_CHANGED:
                compose = self._compose_notice
            case EmailKind.ACCOUNT_DELETED | EmailKind.ACCOUNT_EXISTS | EmailKind.TEST:
                compose = self._compose_from_queue
            case _:
                compose = self._compose_link
        message = await compose(queued)
        return message and _without_links_in_username(message)

    async def _compose_password_reset(self, queued: QueuedEmail) -> Message | None:
        client = Client(queued.about["address"] or None, queued.about["agent"] or None)
        email = queued.about["email"]
        async with self.auth.db.read() as session:
            request = await find_link(session, queued.id)
        if request is None and not await start_password_reset(self.auth, queued.id, client, email):
            return None
        return await self._compose_link(queued)

    async def _compose_link(self, queued: QueuedEmail) -> Message | None:
        async with self.auth.db.read() as session:
            found = await find_link(session, queued.id)
        if found is None:
            # The link was used, or a newer request replaced it.
            return None
        link, user = found
        recipient = link.email or user.email
        if user.disabled_at is not None or recipient is None:
            return None
        if link.email and (
            taken := await self._compose_if_verified(link.email, except_for=user.id)
        ):
            return taken
        url = self._url(queued.kind, issue_link_token(self.auth, link, user))
        hours = str(_hours(Purpose(link.purpose)))
        variables = {"username": user.username, "email": recipient, "link": url, "hours": hours}
        return Message(queued.kind, recipient, variables)

    async def _compose_registration(self, queued: QueuedEmail) -> Message | None:
        async with self.auth.db.read() as session:
            pending = await session.get(PendingRegistration, queued.id)
        if pending is None:
            return None
        if taken := await self._compose_if_taken(pending.email):
            return taken
        url = self._url(queued.kind, issue_registration_token(self.auth, pending))
        hours = str(_hours(Purpose.REGISTRATION))
        variables = {"username": pending.username, "link": url, "hours": hours}
        return Message(queued.kind, pending.email, variables)

    async def _compose_invitation(self, queued: QueuedEmail) -> Message | None:
        async with self.auth.db.read() as session:
            invitation_id = UUID(queued.about["invitation_id"])
            row = await find_valid_invitation(session, self.auth, invitation_id)
        if row is None:
            return None
        url = self._url(queued.kind, issue_invitation_token(self.auth, row))
        until = f"{row.expires_at:%d %B %Y}"
        return Message(queued.kind, row.email, {"email": row.email, "link": url, "until": until})

    async def _compose_notice(self, queued: QueuedEmail) -> Message | None:
        if "username" in queued.about:
            return await self._compose_from_queue(queued)
        # A process of an older version queued the email without the username.
        async with self.auth.db.read() as session:
            user = await session.get(User, UUID(queued.about["user_id"]))
        recipient = queued.about.get("email") or (user.email if user else None)
        if user is None or recipient is None:
            return None
        return Message(queued.kind, recipient, {"username": user.username})

    async def _compose_from_queue(self, queued: QueuedEmail) -> Message | None:
        return Message(queued.kind, queued.about["email"], queued.about)

    async def _compose_if_taken(
        self, email: str, *, except_for: UUID | None = None
    ) -> Message | None:
        # To the address of the account, not to the one that was typed: only the owner may learn
        # that the address has an account.
        owner = await find_email_holder(self.auth, email, except_for=except_for)
        return Message(EmailKind.ACCOUNT_EXISTS, owner, {"email": owner}) if owner else None

    async def _compose_if_verified(self, email: str, *, except_for: UUID) -> Message | None:
        free = await can_be_verified(self.auth, email, except_for=except_for)
        return None if free else await self._compose_if_taken(email, except_for=except_for)

    def _url(self, kind: EmailKind, token: str) -> str:
        # In the fragment, which browsers do not send: not to servers, and not as a referrer.
        return f"{self.account_url}/{_PAGES[kind]}#token={token}"


def _without_links_in_username(message: Message) -> Message:
    """Replaces a username that an email program would turn into a link with the address.

    Otherwise an attacker could register the username `www.example.com` with any address.
    """
    username = message.variables.get("username")
    if username is None or not _LINKABLE.search(username):
        return message
    return replace(message, variables={**message.variables, "username": message.recipient})


def _hours(purpose: Purpose) -> int:
    return int(LIFETIMES[purpose].total_seconds() // 3600)
