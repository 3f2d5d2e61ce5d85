"""What each mail of the outbox says, and to whom, as of the moment when it is sent."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from auth.clients import Client
from auth.email_verification import token_for_registration
from auth.invitations import find_valid_invitation, token_for_invitation
from auth.mail.outbox import Kind
from auth.mail.rendering import Letter
from auth.password_reset import begin_password_reset
from auth.tokens.link_tokens import LIFETIMES, Purpose
from auth.unproved_emails import is_free_to_prove
from auth.user_creation import find_owner_of_email
from auth.user_links import find_request, token_for
from auth.wiring import Auth
from models.pending_registration import PendingRegistration
from models.user import User

_PAGES = {
    Kind.ACCOUNT_CREATED: "reset-password",
    Kind.EMAIL_CHANGE: "confirm-email",
    Kind.EMAIL_VERIFICATION: "verify-email",
    Kind.INVITATION: "accept-invitation",
    Kind.PASSWORD_RESET: "reset-password",
    Kind.PASSWORD_RESET_REQUIRED: "reset-password",
    Kind.REGISTRATION: "verify-email",
}
# What looks like a domain, or like a telephone number.
_LINKABLE = re.compile(r"\.|(\d\D*){5}")


@dataclass(frozen=True, slots=True)
class Draft:
    """A mail of the outbox: its id, which it is, and what is known of it."""

    id: UUID
    kind: Kind
    about: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Letters:
    """Composes letters. `account_url` is where the pages for links are, without a slash."""

    auth: Auth
    account_url: str

    async def compose(self, draft: Draft) -> Letter | None:
        """The letter, or None if there is nobody to tell, or nothing any more.

        Raises DatabaseUnavailable.
        """
        compose: Callable[[Draft], Awaitable[Letter | None]]
        match draft.kind:
            case Kind.PASSWORD_RESET:
                compose = self._password_reset
            case Kind.REGISTRATION:
                compose = self._registration
            case Kind.INVITATION:
                compose = self._invitation
            case Kind.PASSWORD_CHANGED | Kind.EMAIL_CHANGED:
                compose = self._notice
            case Kind.ACCOUNT_DELETED | Kind.ACCOUNT_EXISTS | Kind.TEST:
                compose = self._complete
            case _:
                compose = self._link
        letter = await compose(draft)
        return letter and _without_foreign_links(letter)

    async def _password_reset(self, draft: Draft) -> Letter | None:
        client = Client(draft.about["address"] or None, draft.about["agent"] or None)
        email = draft.about["email"]
        async with self.auth.db.read() as session:
            begun = await find_request(session, draft.id)
        if begun is None and not await begin_password_reset(self.auth, draft.id, client, email):
            return None
        return await self._link(draft)

    async def _link(self, draft: Draft) -> Letter | None:
        async with self.auth.db.read() as session:
            found = await find_request(session, draft.id)
        if found is None:
            # Used, or a newer request has taken its place.
            return None
        link, user = found
        recipient = link.email or user.email
        if user.disabled_at is not None or recipient is None:
            return None
        if link.email and (taken := await self._if_proved(link.email, but=user.id)):
            return taken
        url = self._url(draft.kind, token_for(self.auth, link, user))
        hours = str(_hours(Purpose(link.purpose)))
        variables = {"username": user.username, "email": recipient, "link": url, "hours": hours}
        return Letter(draft.kind, recipient, variables)

    async def _registration(self, draft: Draft) -> Letter | None:
        async with self.auth.db.read() as session:
            pending = await session.get(PendingRegistration, draft.id)
        if pending is None:
            return None
        if taken := await self._if_taken(pending.email):
            return taken
        url = self._url(draft.kind, token_for_registration(self.auth, pending))
        hours = str(_hours(Purpose.REGISTRATION))
        variables = {"username": pending.username, "link": url, "hours": hours}
        return Letter(draft.kind, pending.email, variables)

    async def _invitation(self, draft: Draft) -> Letter | None:
        async with self.auth.db.read() as session:
            invitation_id = UUID(draft.about["invitation_id"])
            row = await find_valid_invitation(session, self.auth, invitation_id)
        if row is None:
            return None
        url = self._url(draft.kind, token_for_invitation(self.auth, row))
        until = f"{row.expires_at:%d %B %Y}"
        return Letter(draft.kind, row.email, {"email": row.email, "link": url, "until": until})

    async def _notice(self, draft: Draft) -> Letter | None:
        if "username" in draft.about:
            return await self._complete(draft)
        # A process of an older version wrote the row, without the name.
        async with self.auth.db.read() as session:
            user = await session.get(User, UUID(draft.about["user_id"]))
        recipient = draft.about.get("email") or (user.email if user else None)
        if user is None or recipient is None:
            return None
        return Letter(draft.kind, recipient, {"username": user.username})

    async def _complete(self, draft: Draft) -> Letter | None:
        return Letter(draft.kind, draft.about["email"], draft.about)

    async def _if_taken(self, email: str, *, but: UUID | None = None) -> Letter | None:
        # Only its owner may know that an address has an account: who spells it alike may not.
        owner = await find_owner_of_email(self.auth, email, but=but)
        return Letter(Kind.ACCOUNT_EXISTS, owner, {"email": owner}) if owner else None

    async def _if_proved(self, email: str, *, but: UUID) -> Letter | None:
        free = await is_free_to_prove(self.auth, email, but=but)
        return None if free else await self._if_taken(email, but=but)

    def _url(self, kind: Kind, token: str) -> str:
        # Behind the #, so that it is in no server's log and in no referrer.
        return f"{self.account_url}/{_PAGES[kind]}#token={token}"


def _without_foreign_links(letter: Letter) -> Letter:
    """Shows the address in place of a username that an email program would turn into a link.

    A stranger can register the name `www.example.com` with any address.
    """
    username = letter.variables.get("username")
    if username is None or not _LINKABLE.search(username):
        return letter
    return replace(letter, variables={**letter.variables, "username": letter.recipient})


def _hours(purpose: Purpose) -> int:
    return int(LIFETIMES[purpose].total_seconds() // 3600)
