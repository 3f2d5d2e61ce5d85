"""Registration: open, with verification of the email, and by invitation."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest
from sqlalchemy import select

from auth.clients import Client
from auth.email_verification import request_email_verification, verify_email
from auth.errors import (
    EmailAlreadyVerified,
    EmailTaken,
    Forbidden,
    InvalidCredentials,
    InvitationInvalid,
    InvitationNotFound,
    InvitationRequired,
    LinkInvalid,
    RateLimited,
    Refusals,
    RegistrationClosed,
    RoleNotFound,
)
from auth.invitations import create_invitation, delete_invitation, list_invitations
from auth.link_passwords import TypedPassword
from auth.list_pages import Page
from auth.login import log_in
from auth.registration import register
from auth.roles import find_roles_by_name
from auth.user_creation import NewUserForm
from auth.users import find_user_by_name
from auth.viewers import get_viewer
from auth.wiring import Auth, RegistrationMode, RegistrationPolicy
from models.audit_event import AuditEvent
from models.pending_registration import PendingRegistration
from server.settings import EmailVerification, Settings
from tests.accounts import ALICE, OPERATOR, SUPPORT
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.emails import Mailbox

PASSWORD = "of course a good one"
TYPED = TypedPassword(PASSWORD)
CAROL = "carol@example.com"


def form(username: str = "carol", email: str = CAROL) -> NewUserForm:
    return NewUserForm(username, email, None, PASSWORD)


@pytest.fixture
async def careful(settings: Settings, clock: ManualClock) -> AsyncIterator[Api]:
    """A server where the verification of the email creates the account."""
    changes = {"email_verification": EmailVerification.REQUIRED}
    async with serving(settings.model_copy(update=changes), clock) as api:
        yield api


async def register_and_send(api: Api, **names: str) -> None:
    """Registers, and sends the email."""
    assert await register(api.auth, Client(), form(**names)) is None
    await api.send_emails()


class TestOpen:
    """Registration creates the account. Verification is optional."""

    async def test_registration_sends_a_verification_link(self, api: Api, mailbox: Mailbox) -> None:
        user = await register(api.auth, Client(), form())
        assert user
        assert not user.email_verified
        await api.send_emails()
        verified = await verify_email(api.auth, Client(), mailbox.last(CAROL).token, TYPED)
        assert (verified.id, verified.email_verified) == (user.id, True)

    async def test_verification_link_works_once(self, api: Api, mailbox: Mailbox) -> None:
        await register(api.auth, Client(), form())
        await api.send_emails()
        token = mailbox.last(CAROL).token
        attempts = [verify_email(api.auth, Client(), token, TYPED) for _ in range(20)]
        outcomes = await asyncio.gather(*attempts, return_exceptions=True)
        refused = (LinkInvalid, RateLimited)
        assert sum(isinstance(outcome, refused) for outcome in outcomes) == 19

    async def test_verification_emails_of_one_account_are_limited(self, api: Api) -> None:
        viewer = await get_viewer(api.auth, Client(), await api.log_in(ALICE))
        for _ in range(3):
            await request_email_verification(api.auth, viewer)
        with pytest.raises(RateLimited):
            await request_email_verification(api.auth, viewer)

    async def test_verification_link_can_be_requested_again(
        self, api: Api, mailbox: Mailbox
    ) -> None:
        viewer = await get_viewer(api.auth, Client(), await api.log_in(ALICE))
        await request_email_verification(api.auth, viewer)
        await api.send_emails()
        await verify_email(
            api.auth, Client(), mailbox.last(ALICE.email).token, TypedPassword(ALICE.password)
        )
        viewer = await get_viewer(api.auth, Client(), await api.log_in(ALICE))
        with pytest.raises(EmailAlreadyVerified):
            await request_email_verification(api.auth, viewer)


class TestPending:
    """The verification of the email creates the account."""

    async def test_link_creates_the_account(self, careful: Api, mailbox: Mailbox) -> None:
        await register_and_send(careful)
        assert await find_user_by_name(careful.auth, "carol") is None
        user = await verify_email(careful.auth, Client(), mailbox.last(CAROL).token, TYPED)
        assert (user.username, user.email_verified) == ("carol", True)
        assert [role.name for role in user.roles] == ["user"]
        assert await log_in(careful.auth, Client(), username=CAROL, password=PASSWORD)

    async def test_login_is_refused_before_the_verification(self, careful: Api) -> None:
        await register_and_send(careful)
        with pytest.raises(InvalidCredentials):
            await log_in(careful.auth, Client(), username="carol", password=PASSWORD)

    async def test_taken_email_is_reported_by_email_only(
        self, careful: Api, mailbox: Mailbox
    ) -> None:
        await register_and_send(careful, email="Alice@Example.com")
        (mail,) = mailbox.emails()
        assert mail.recipient == ALICE.email
        assert "#token=" not in mail.text
        assert await find_user_by_name(careful.auth, "carol") is None

    async def test_taken_username_is_refused(self, careful: Api) -> None:
        with pytest.raises(Refusals) as refused:
            await register(careful.auth, Client(), form("ALICE"))
        assert [refusal.code for refusal in refused.value.refusals] == ["USERNAME_TAKEN"]

    async def test_first_verified_registration_gets_the_username(
        self, careful: Api, mailbox: Mailbox
    ) -> None:
        await register_and_send(careful, email="first@example.com")
        await register_and_send(careful, email="second@example.com")
        await verify_email(careful.auth, Client(), mailbox.last("second@example.com").token, TYPED)
        with pytest.raises(Refusals) as refused:
            await verify_email(
                careful.auth, Client(), mailbox.last("first@example.com").token, TYPED
            )
        (refusal,) = refused.value.refusals
        assert (refusal.code, refusal.field) == ("USERNAME_TAKEN", "token")

    async def test_registration_link_works_once_for_concurrent_requests(
        self, careful: Api, mailbox: Mailbox
    ) -> None:
        await register_and_send(careful)
        token = mailbox.last(CAROL).token
        attempts = [verify_email(careful.auth, Client(), token, TYPED) for _ in range(20)]
        outcomes = await asyncio.gather(*attempts, return_exceptions=True)
        assert (
            sum(isinstance(outcome, LinkInvalid | RateLimited | Refusals) for outcome in outcomes)
            == 19
        )

    async def test_link_expires_after_a_day(
        self, careful: Api, mailbox: Mailbox, clock: ManualClock
    ) -> None:
        await register_and_send(careful)
        clock.tick(days=1)
        with pytest.raises(LinkInvalid):
            await verify_email(careful.auth, Client(), mailbox.last(CAROL).token, TYPED)

    async def test_emails_to_one_address_are_limited(self, careful: Api) -> None:
        for _ in range(3):
            await register_and_send(careful)
        with pytest.raises(RateLimited):
            await register_and_send(careful)

    async def test_pending_registration_stores_a_hash(self, careful: Api) -> None:
        await register_and_send(careful)
        async with careful.auth.db.read() as session:
            (pending,) = await session.scalars(select(PendingRegistration))
        assert PASSWORD not in str(vars(pending))

    async def test_email_names_the_account(self, careful: Api, mailbox: Mailbox) -> None:
        await register_and_send(careful, username="mallory")
        assert "“mallory”" in mailbox.last(CAROL).text


@pytest.fixture
def invitation_only(auth: Auth) -> Auth:
    """A server where registration needs an invitation."""
    policy = RegistrationPolicy(RegistrationMode.INVITATION)
    object.__setattr__(auth, "registration_policy", policy)
    return auth


async def invite(api: Api, email: str = CAROL, roles: Sequence[str] = ()) -> None:
    found = await find_roles_by_name(api.auth, roles)
    ids = [role.id for role in found]
    await create_invitation(api.auth, OPERATOR, email=email, role_ids=ids)
    await api.send_emails()


async def events_that_took_an_address(auth: Auth) -> list[tuple[UUID | None, str]]:
    async with auth.db.read() as session:
        events = list(await session.scalars(select(AuditEvent)))
    key = "email_taken_from"
    return [(event.actor_id, event.details[key]) for event in events if key in event.details]


class TestInvitations:
    """Registration with an invitation."""

    async def test_invited_user_gets_the_roles_of_the_invitation(
        self, api: Api, invitation_only: Auth, mailbox: Mailbox
    ) -> None:
        await invite(api, roles=["support"])
        user = await register(invitation_only, Client(), form(), mailbox.last(CAROL).token)
        assert user
        assert [role.name for role in user.roles] == ["support"]
        assert user.email_verified

    async def test_invitation_without_roles_gives_the_role_user(
        self, api: Api, invitation_only: Auth, mailbox: Mailbox
    ) -> None:
        await invite(api)
        user = await register(invitation_only, Client(), form(), mailbox.last(CAROL).token)
        assert user
        assert [role.name for role in user.roles] == ["user"]

    async def test_registration_needs_an_invitation(self, invitation_only: Auth) -> None:
        with pytest.raises(InvitationRequired):
            await register(invitation_only, Client(), form())
        for token in ("x", "plt_" + "A" * 72):
            with pytest.raises(InvitationInvalid):
                await register(invitation_only, Client(), form(), token)

    async def test_invitation_works_for_one_email(
        self, api: Api, invitation_only: Auth, mailbox: Mailbox
    ) -> None:
        await invite(api)
        token = mailbox.last(CAROL).token
        with pytest.raises(InvitationInvalid):
            await register(invitation_only, Client(), form(email="mallory@example.com"), token)

    @pytest.mark.parametrize(
        ("invited", "typed"),
        [
            ("carol@strasse.de", "carol@straße.de"),
            ("carol@straße.de", "carol@strasse.de"),
            ("strasse@example.com", "straße@example.com"),
            ("Carol@example.com", "carol@EXAMPLE.com"),
        ],
    )
    async def test_invitation_verifies_only_the_invited_spelling(
        self, api: Api, invitation_only: Auth, mailbox: Mailbox, invited: str, typed: str
    ) -> None:
        await invite(api, invited)
        user = await register(invitation_only, Client(), form(email=typed), mailbox.last().token)
        assert user
        assert (user.email, user.email_verified) == (invited, True)

    async def test_invitation_works_once(
        self, api: Api, invitation_only: Auth, mailbox: Mailbox
    ) -> None:
        await invite(api)
        token = mailbox.last(CAROL).token
        attempts = [register(invitation_only, Client(), form(f"carol{n}"), token) for n in range(5)]
        outcomes = await asyncio.gather(*attempts, return_exceptions=True)
        assert sum(isinstance(o, InvitationInvalid | Refusals) for o in outcomes) == 4

    async def test_deleted_invitation_is_refused(
        self, api: Api, invitation_only: Auth, mailbox: Mailbox
    ) -> None:
        await invite(api)
        (invitation,) = (
            await list_invitations(invitation_only, OPERATOR, Page(limit=5))
        ).invitations
        await delete_invitation(invitation_only, OPERATOR, invitation.id)
        with pytest.raises(InvitationInvalid):
            await register(invitation_only, Client(), form(), mailbox.last(CAROL).token)
        with pytest.raises(InvitationNotFound):
            await delete_invitation(invitation_only, OPERATOR, invitation.id)

    async def test_invitation_expires_after_a_week(
        self, api: Api, invitation_only: Auth, mailbox: Mailbox, clock: ManualClock
    ) -> None:
        await invite(api)
        clock.tick(days=7)
        with pytest.raises(InvitationInvalid):
            await register(invitation_only, Client(), form(), mailbox.last(CAROL).token)
        assert not (await list_invitations(invitation_only, OPERATOR, Page(limit=5))).invitations

    async def test_newer_invitation_replaces_the_older_one(
        self, api: Api, invitation_only: Auth, mailbox: Mailbox
    ) -> None:
        await invite(api, roles=["auditor"])
        older = mailbox.last(CAROL).token
        await invite(api)
        with pytest.raises(InvitationInvalid):
            await register(invitation_only, Client(), form(), older)

    async def test_invitation_with_roles_above_the_inviter_is_refused(self, api: Api) -> None:
        viewer = await get_viewer(api.auth, Client(), await api.log_in(SUPPORT))
        with pytest.raises(Forbidden):
            await create_invitation(api.auth, viewer, email=CAROL, role_ids=[])

    async def test_invitation_of_a_verified_email_is_refused(
        self, api: Api, mailbox: Mailbox
    ) -> None:
        await register(api.auth, Client(), form())
        await api.send_emails()
        await verify_email(api.auth, Client(), mailbox.last(CAROL).token, TYPED)
        with pytest.raises(EmailTaken):
            await invite(api)

    @pytest.mark.parametrize("first", ["stranger", "invitation"])
    async def test_stranger_with_the_invited_address_does_not_block_the_invitation(
        self, api: Api, mailbox: Mailbox, first: str
    ) -> None:
        if first == "stranger":
            await register(api.auth, Client(), form("mallory"))
        await invite(api)
        token = mailbox.last(CAROL).token
        if first == "invitation":
            await register(api.auth, Client(), form("mallory"))
        user = await register(api.auth, Client(), form(), token)
        mallory = await find_user_by_name(api.auth, "mallory")
        assert user
        assert mallory
        assert (user.email, user.email_verified, mallory.email) == (CAROL, True, None)
        assert await events_that_took_an_address(api.auth) == [(user.id, str(mallory.id))]

    async def test_stranger_cannot_verify_the_address_that_an_invitation_took(
        self, api: Api, mailbox: Mailbox
    ) -> None:
        await register(api.auth, Client(), form("mallory"))
        await api.send_emails()
        verification = mailbox.last(CAROL).token
        await invite(api)
        await register(api.auth, Client(), form(), mailbox.last(CAROL).token)
        with pytest.raises(LinkInvalid):
            await verify_email(api.auth, Client(), verification, TYPED)

    async def test_account_with_roles_of_an_operator_keeps_its_address(self, api: Api) -> None:
        with pytest.raises(EmailTaken):
            await invite(api, email=SUPPORT.email)

    async def test_invitation_with_an_unknown_role_is_refused(self, api: Api) -> None:
        viewer = await get_viewer(api.auth, Client(), await api.log_in(ALICE))
        with pytest.raises(RoleNotFound):
            await create_invitation(api.auth, OPERATOR, email=CAROL, role_ids=[viewer.user_id])

    async def test_invitation_is_refused_if_registration_is_closed(
        self, api: Api, invitation_only: Auth, mailbox: Mailbox
    ) -> None:
        await invite(api)
        closed = RegistrationPolicy(RegistrationMode.CLOSED)
        object.__setattr__(invitation_only, "registration_policy", closed)
        with pytest.raises(RegistrationClosed):
            await register(invitation_only, Client(), form(), mailbox.last(CAROL).token)

    async def test_invitation_is_in_the_audit_log(self, api: Api) -> None:
        await invite(api)
        async with api.auth.db.read() as session:
            (event,) = await session.scalars(select(AuditEvent))
        assert event.action == "invitation.created"
        assert CAROL not in str(event.details)
