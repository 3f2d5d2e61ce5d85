"""Email verification gives the account to the reader of the mailbox, and not to a stranger.

The attacks are those of "Pre-hijacked accounts" (Sudhodanan and Paverd, USENIX Security 2022).
"""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, update

from auth.clients import Client
from auth.email_change import confirm_email_change, request_email_change
from auth.email_verification import request_email_verification, verify_email
from auth.errors import (
    InvalidCredentials,
    LinkInvalid,
    PasswordChangeRequired,
    PasswordRequired,
    RateLimited,
    Refusals,
    SessionRevoked,
    WrongPassword,
)
from auth.link_passwords import TypedPassword
from auth.login import log_in
from auth.password_reset import request_password_reset, reset_password
from auth.registration import register
from auth.user_creation import NewUserForm, create_user
from auth.user_edits import UserEdit, update_user
from auth.users import find_user_by_name
from auth.viewers import Viewer, get_viewer
from models.audit_event import AuditEvent
from models.user import User
from server.settings import EmailVerification, Settings
from tests.accounts import ADMIN, ALICE
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.emails import Email, Mailbox

OWNER = "carol@example.com"
STRANGER = "mallory@example.com"
OWNERS_PASSWORD = "tulips in november"
STRANGERS_PASSWORD = "a trap for the owner"
NEW_PASSWORD = "roses in december"


@pytest.fixture
async def careful(settings: Settings, clock: ManualClock) -> AsyncIterator[Api]:
    """A server where the verification of the email creates the account."""
    changes = {"email_verification": EmailVerification.REQUIRED}
    async with serving(settings.model_copy(update=changes), clock) as api:
        await api.delivery.stop()
        yield api


async def sign_up(api: Api, mailbox: Mailbox, password: str, username: str = "carol") -> Email:
    """Registers with the owner's address. Returns the email to the owner."""
    await register(api.auth, Client(), NewUserForm(username, OWNER, None, password))
    await api.send_emails()
    return mailbox.last(OWNER)


async def prepare(api: Api, mailbox: Mailbox) -> tuple[Email, str]:
    """A stranger registers with the owner's address and signs in."""
    mail = await sign_up(api, mailbox, STRANGERS_PASSWORD)
    signed_in = await log_in(api.auth, Client(), username=OWNER, password=STRANGERS_PASSWORD)
    return mail, signed_in.access_token.text


async def can_log_in(api: Api, password: str, username: str = OWNER) -> bool:
    try:
        await log_in(api.auth, Client(), username=username, password=password)
    except InvalidCredentials:
        return False
    return True


def typed(current: str | None = None, *, new: str | None = None) -> TypedPassword:
    return TypedPassword(current, new)


# Pending registrations


async def test_second_registration_does_not_accept_the_strangers_password(
    careful: Api, mailbox: Mailbox
) -> None:
    own = await sign_up(careful, mailbox, OWNERS_PASSWORD)
    twin = await sign_up(careful, mailbox, STRANGERS_PASSWORD)
    assert own.text.replace(own.token, "") == twin.text.replace(twin.token, "")
    with pytest.raises(WrongPassword) as wrong:
        await verify_email(careful.auth, Client(), twin.token, typed(OWNERS_PASSWORD))
    assert wrong.value.field == "password"
    assert await find_user_by_name(careful.auth, "carol") is None
    await verify_email(careful.auth, Client(), own.token, typed(OWNERS_PASSWORD))
    assert await can_log_in(careful, OWNERS_PASSWORD)
    assert not await can_log_in(careful, STRANGERS_PASSWORD)
    with pytest.raises(Refusals):
        await verify_email(careful.auth, Client(), twin.token, typed(STRANGERS_PASSWORD))


async def test_second_registration_accepts_a_new_password(careful: Api, mailbox: Mailbox) -> None:
    twin = await sign_up(careful, mailbox, STRANGERS_PASSWORD)
    user = await verify_email(careful.auth, Client(), twin.token, typed(new=NEW_PASSWORD))
    assert user.email_verified
    assert await can_log_in(careful, NEW_PASSWORD)
    assert not await can_log_in(careful, STRANGERS_PASSWORD)


async def test_verification_link_alone_verifies_nothing(careful: Api, mailbox: Mailbox) -> None:
    mail = await sign_up(careful, mailbox, STRANGERS_PASSWORD)
    with pytest.raises(PasswordRequired):
        await verify_email(careful.auth, Client(), mail.token, typed())
    assert await find_user_by_name(careful.auth, "carol") is None


async def test_new_password_on_the_link_page_is_checked_against_the_policy(
    careful: Api, mailbox: Mailbox
) -> None:
    mail = await sign_up(careful, mailbox, STRANGERS_PASSWORD)
    with pytest.raises(Refusals) as refused:
        await verify_email(careful.auth, Client(), mail.token, typed(new="carol"))
    assert {refusal.code for refusal in refused.value.refusals} == {
        "PASSWORD_TOO_SHORT",
        "PASSWORD_TOO_PERSONAL",
    }
    assert {refusal.field for refusal in refused.value.refusals} == {"new_password"}


async def test_password_guesses_on_the_link_page_are_throttled(
    careful: Api, mailbox: Mailbox
) -> None:
    mail = await sign_up(careful, mailbox, STRANGERS_PASSWORD)
    for _ in range(10):
        with pytest.raises(WrongPassword):
            await verify_email(careful.auth, Client(), mail.token, typed("a guess"))
    for attempt in (typed("a guess"), typed(STRANGERS_PASSWORD), typed(new=NEW_PASSWORD)):
        with pytest.raises(RateLimited):
            await verify_email(careful.auth, Client(), mail.token, attempt)


async def test_password_guesses_on_one_link_page_do_not_delay_another(
    careful: Api, mailbox: Mailbox
) -> None:
    first = (await sign_up(careful, mailbox, STRANGERS_PASSWORD)).token
    second = (await sign_up(careful, mailbox, OWNERS_PASSWORD)).token
    for _ in range(10):
        with pytest.raises(WrongPassword):
            await verify_email(careful.auth, Client(), first, typed("a guess"))
    with pytest.raises(RateLimited):
        await verify_email(careful.auth, Client(), first, typed(STRANGERS_PASSWORD))
    assert await verify_email(careful.auth, Client(), second, typed(OWNERS_PASSWORD))


async def test_forged_link_costs_no_hash(careful: Api, mailbox: Mailbox) -> None:
    mail = await sign_up(careful, mailbox, STRANGERS_PASSWORD)
    forged = mail.token[:-2] + ("AA" if mail.token[-2:] != "AA" else "BB")
    for attempt in (typed(STRANGERS_PASSWORD), typed(new="short"), typed()):
        with pytest.raises(LinkInvalid):
            await verify_email(careful.auth, Client(), forged, attempt)


# Accounts with an unverified address


async def test_verification_with_a_new_password_ends_what_a_stranger_prepared(
    api: Api, mailbox: Mailbox
) -> None:
    mail, strangers_token = await prepare(api, mailbox)
    stranger = await get_viewer(api.auth, Client(), strangers_token)
    await request_email_change(api.auth, stranger, new_email=STRANGER, password=STRANGERS_PASSWORD)
    await api.send_emails()
    user = await verify_email(api.auth, Client(), mail.token, typed(new=NEW_PASSWORD))
    assert user.email_verified
    await assert_stranger_is_out(api, mailbox, strangers_token)
    assert await can_log_in(api, NEW_PASSWORD)


async def test_password_reset_ends_what_a_stranger_prepared(api: Api, mailbox: Mailbox) -> None:
    mail, strangers_token = await prepare(api, mailbox)
    stranger = await get_viewer(api.auth, Client(), strangers_token)
    await request_email_change(api.auth, stranger, new_email=STRANGER, password=STRANGERS_PASSWORD)
    await request_password_reset(api.auth, Client(), email=OWNER)
    await api.send_emails()
    token = mailbox.last(OWNER).token
    await reset_password(api.auth, Client(), token=token, new=NEW_PASSWORD)
    await assert_stranger_is_out(api, mailbox, strangers_token)
    # The verification link of the stranger's registration is refused too.
    with pytest.raises(LinkInvalid):
        await verify_email(api.auth, Client(), mail.token, typed(NEW_PASSWORD))


async def assert_stranger_is_out(api: Api, mailbox: Mailbox, token: str) -> None:
    with pytest.raises(SessionRevoked):
        await get_viewer(api.auth, Client(), token)
    assert not await can_log_in(api, STRANGERS_PASSWORD)
    link = mailbox.last(STRANGER).token
    for password in (STRANGERS_PASSWORD, NEW_PASSWORD):
        with pytest.raises(LinkInvalid):
            await confirm_email_change(api.auth, Client(), link, password=password)


async def test_verification_does_not_confirm_a_strangers_password(
    api: Api, mailbox: Mailbox
) -> None:
    mail, _ = await prepare(api, mailbox)
    with pytest.raises(PasswordRequired):
        await verify_email(api.auth, Client(), mail.token, typed())
    with pytest.raises(WrongPassword):
        await verify_email(api.auth, Client(), mail.token, typed(OWNERS_PASSWORD))
    user = await find_user_by_name(api.auth, "carol")
    assert user
    assert not user.email_verified


async def test_verification_with_the_current_password_keeps_the_sessions(
    api: Api, mailbox: Mailbox
) -> None:
    mail, token = await prepare(api, mailbox)
    await verify_email(api.auth, Client(), mail.token, typed(STRANGERS_PASSWORD))
    assert (await get_viewer(api.auth, Client(), token)).user.email_verified


async def test_failed_verification_is_in_the_audit_log(api: Api, mailbox: Mailbox) -> None:
    mail, _ = await prepare(api, mailbox)
    with pytest.raises(WrongPassword):
        await verify_email(api.auth, Client(), mail.token, typed("a guess"))
    query = select(AuditEvent.succeeded).where(AuditEvent.action == "email.verified")
    async with api.auth.db.read() as session:
        assert list(await session.scalars(query)) == [False]


async def test_verification_does_not_confirm_a_temporary_password(
    api: Api, admin: str, mailbox: Mailbox
) -> None:
    operator = await get_viewer(api.auth, Client(), admin)
    form = NewUserForm("carol", None, None, STRANGERS_PASSWORD)
    created = await create_user(api.auth, operator, form, [])
    await update_user(api.auth, operator, created.id, UserEdit(email=OWNER))
    await api.send_emails()
    token = mailbox.last(OWNER).token
    with pytest.raises(PasswordChangeRequired):
        await verify_email(api.auth, Client(), token, typed(STRANGERS_PASSWORD))
    await verify_email(api.auth, Client(), token, typed(new=NEW_PASSWORD))
    assert await can_log_in(api, NEW_PASSWORD)


async def test_verification_of_an_account_without_a_password_needs_a_new_one(
    api: Api, alice: str, mailbox: Mailbox
) -> None:
    viewer = await get_viewer(api.auth, Client(), alice)
    await request_email_verification(api.auth, viewer)
    await api.send_emails()
    async with api.auth.db.begin() as tx:
        await tx.execute(update(User).where(User.id == viewer.user_id).values(password_hash=None))
    token = mailbox.last(ALICE.email).token
    with pytest.raises(WrongPassword):
        await verify_email(api.auth, Client(), token, typed(ALICE.password))
    await verify_email(api.auth, Client(), token, typed(new=NEW_PASSWORD))
    assert await can_log_in(api, NEW_PASSWORD, ALICE.username)


# Email changes


@pytest.fixture
async def changing(api: Api, alice: str) -> Viewer:
    """Alice, who requested a change to the address of another user."""
    viewer = await get_viewer(api.auth, Client(), alice)
    await request_email_change(api.auth, viewer, new_email=OWNER, password=ALICE.password)
    await api.send_emails()
    return viewer


async def test_email_change_link_alone_changes_nothing(
    api: Api, changing: Viewer, mailbox: Mailbox
) -> None:
    token = mailbox.last(OWNER).token
    with pytest.raises(PasswordRequired):
        await confirm_email_change(api.auth, Client(), token, password=None)
    with pytest.raises(WrongPassword):
        await confirm_email_change(api.auth, Client(), token, password=OWNERS_PASSWORD)
    assert await find_user_by_name(api.auth, OWNER) is None
    user = await confirm_email_change(api.auth, Client(), token, password=ALICE.password)
    assert (user.id, user.email_verified) == (changing.user_id, True)


async def test_password_guesses_at_an_email_change_do_not_delay_the_owner(
    api: Api, changing: Viewer, mailbox: Mailbox
) -> None:
    token = mailbox.last(OWNER).token
    for _ in range(10):
        with pytest.raises(WrongPassword):
            await confirm_email_change(api.auth, Client(), token, password="a guess")
    with pytest.raises(RateLimited):
        await confirm_email_change(api.auth, Client(), token, password="a guess")
    assert await can_log_in(api, ALICE.password, ALICE.username)
    assert await can_log_in(api, ADMIN.password, ADMIN.username)
    await request_email_change(api.auth, changing, new_email=STRANGER, password=ALICE.password)
