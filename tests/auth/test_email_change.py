"""Email change: the link, the password, and the notice to the old address."""

import asyncio

import pytest
from sqlalchemy import select, update

from auth.clients import Client
from auth.email_change import confirm_email_change, request_email_change
from auth.email_verification import verify_email
from auth.errors import EmailInvalid, LinkInvalid, RateLimited, Refusals, WrongPassword
from auth.link_passwords import TypedPassword
from auth.login import log_in
from auth.password_change import change_password
from auth.password_reset import request_password_reset, reset_password
from auth.records import UserRecord
from auth.user_edits import UserEdit, update_user
from auth.users import find_user_by_name
from auth.viewers import Viewer, get_viewer
from models.audit_event import AuditEvent
from models.user import User
from tests.accounts import ADMIN, ALICE, BOB, CREATED_AT, OPERATOR
from tests.api import Api
from tests.clock import ManualClock
from tests.emails import Mailbox

NEW = "alice.new@example.com"


@pytest.fixture
async def viewer(api: Api, alice: str) -> Viewer:
    return await get_viewer(api.auth, Client(), alice)


async def ask(api: Api, viewer: Viewer, email: str = NEW) -> None:
    await request_email_change(api.auth, viewer, new_email=email, password=ALICE.password)
    await api.send_emails()


async def confirm(api: Api, token: str) -> UserRecord:
    return await confirm_email_change(api.auth, Client(), token, password=ALICE.password)


async def test_link_changes_the_email(api: Api, viewer: Viewer, mailbox: Mailbox) -> None:
    await ask(api, viewer)
    assert (await find_user_by_name(api.auth, ALICE.email)) is not None
    user = await confirm(api, mailbox.last(NEW).token)
    assert (user.id, user.email, user.email_verified) == (viewer.user_id, NEW, True)
    assert await log_in(api.auth, Client(), username=NEW, password=ALICE.password)


async def test_old_address_gets_a_notice(api: Api, viewer: Viewer, mailbox: Mailbox) -> None:
    await ask(api, viewer)
    assert mailbox.emails(ALICE.email) == []
    await confirm(api, mailbox.last(NEW).token)
    await api.send_emails()
    assert "was changed" in mailbox.last(ALICE.email).subject


async def test_wrong_password_is_refused(api: Api, viewer: Viewer, mailbox: Mailbox) -> None:
    with pytest.raises(WrongPassword):
        await request_email_change(api.auth, viewer, new_email=NEW, password="a guess")
    await api.send_emails()
    assert mailbox.emails() == []


async def test_request_does_not_show_that_the_email_is_taken(
    api: Api, viewer: Viewer, mailbox: Mailbox
) -> None:
    await ask(api, viewer, ADMIN.email)
    (mail,) = mailbox.emails()
    assert mail.recipient == ADMIN.email
    assert "#token=" not in mail.text


async def test_link_of_an_email_taken_since_the_request_is_refused(
    api: Api, viewer: Viewer, mailbox: Mailbox
) -> None:
    await ask(api, viewer)
    async with api.auth.db.begin() as tx:
        await tx.execute(
            update(User)
            .where(User.username == "bob")
            .values(email=NEW, email_key=NEW, email_verified_at=CREATED_AT)
        )
    with pytest.raises(Refusals) as refused:
        await confirm(api, mailbox.last(NEW).token)
    (refusal,) = refused.value.refusals
    assert (refusal.code, refusal.field) == ("EMAIL_TAKEN", "token")


async def test_unverified_email_goes_to_the_account_that_verifies_it(
    api: Api, viewer: Viewer, mailbox: Mailbox
) -> None:
    await ask(api, viewer, BOB.email)
    assert (await confirm(api, mailbox.last(BOB.email).token)).email == BOB.email
    bob = await find_user_by_name(api.auth, BOB.username)
    assert bob
    assert bob.email is None


async def test_link_works_once(api: Api, viewer: Viewer, mailbox: Mailbox) -> None:
    await ask(api, viewer)
    token = mailbox.last(NEW).token
    attempts = [confirm(api, token) for _ in range(10)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(outcome, LinkInvalid) for outcome in outcomes) == 9


async def test_password_change_ends_the_link(api: Api, viewer: Viewer, mailbox: Mailbox) -> None:
    await ask(api, viewer)
    await change_password(api.auth, viewer, current=ALICE.password, new="a password of my own")
    with pytest.raises(LinkInvalid):
        await confirm(api, mailbox.last(NEW).token)


async def test_password_change_ends_a_request_whose_email_is_not_sent(
    api: Api, viewer: Viewer, mailbox: Mailbox
) -> None:
    await request_email_change(api.auth, viewer, new_email=NEW, password=ALICE.password)
    await change_password(api.auth, viewer, current=ALICE.password, new="a password of my own")
    await api.send_emails()
    assert mailbox.emails(NEW) == []


async def test_email_change_ends_links_to_the_old_address(
    api: Api, viewer: Viewer, mailbox: Mailbox
) -> None:
    await request_password_reset(api.auth, Client(), email=ALICE.email)
    await ask(api, viewer)
    await confirm(api, mailbox.last(NEW).token)
    token = mailbox.emails(ALICE.email)[0].token
    with pytest.raises(LinkInvalid):
        await reset_password(api.auth, Client(), token=token, new="a password of my own")


async def test_link_expires_after_an_hour(
    api: Api, viewer: Viewer, mailbox: Mailbox, clock: ManualClock
) -> None:
    await ask(api, viewer)
    clock.tick(hours=1)
    with pytest.raises(LinkInvalid):
        await confirm(api, mailbox.last(NEW).token)


async def test_link_of_another_purpose_is_refused(
    api: Api, viewer: Viewer, mailbox: Mailbox
) -> None:
    await ask(api, viewer)
    with pytest.raises(LinkInvalid):
        await reset_password(
            api.auth, Client(), token=mailbox.last(NEW).token, new="a password of my own"
        )


async def test_invalid_email_is_refused_at_its_field(api: Api, viewer: Viewer) -> None:
    with pytest.raises(EmailInvalid) as refused:
        await ask(api, viewer, "nowhere")
    assert refused.value.field == "new_email"


async def test_emails_to_one_address_are_limited(api: Api, viewer: Viewer) -> None:
    for _ in range(3):
        await ask(api, viewer)
    with pytest.raises(RateLimited):
        await ask(api, viewer)


async def test_email_changes_of_one_account_are_limited(api: Api, viewer: Viewer) -> None:
    for number in range(5):
        await ask(api, viewer, f"alice{number}@example.com")
    with pytest.raises(RateLimited):
        await ask(api, viewer, "alice5@example.com")


async def test_email_set_by_an_operator_is_not_verified(
    api: Api, viewer: Viewer, mailbox: Mailbox
) -> None:
    async with api.auth.db.begin() as tx:
        await tx.execute(update(User).values(email_verified_at=api.auth.clock.now()))
    user = await update_user(api.auth, OPERATOR, viewer.user_id, UserEdit(email=NEW))
    assert (user.email, user.email_verified) == (NEW, False)
    await api.send_emails()
    assert "was changed" in mailbox.last(ALICE.email).subject
    assert "/verify-email#" in mailbox.last(NEW).link


async def test_failed_email_change_is_in_the_audit_log(api: Api, viewer: Viewer) -> None:
    with pytest.raises(WrongPassword):
        await request_email_change(api.auth, viewer, new_email=NEW, password="a guess")
    async with api.auth.db.read() as session:
        last = (await session.scalars(select(AuditEvent).order_by(AuditEvent.id.desc()))).first()
    assert last
    assert (last.action, last.succeeded) == ("email.change_requested", False)


async def test_email_change_stores_the_verified_spelling(
    api: Api, viewer: Viewer, mailbox: Mailbox
) -> None:
    await update_user(api.auth, OPERATOR, viewer.user_id, UserEdit(email="alice@strasse.de"))
    await ask(api, viewer, "alice@straße.de")
    token = mailbox.emails()[-1].token
    assert mailbox.emails()[-1].recipient == "alice@xn--strae-oqa.de"
    user = await confirm(api, token)
    assert (user.email, user.email_verified) == ("alice@straße.de", True)


async def test_operator_edit_to_a_spelling_with_the_same_key_is_not_verified(
    api: Api, viewer: Viewer, mailbox: Mailbox
) -> None:
    await update_user(api.auth, OPERATOR, viewer.user_id, UserEdit(email="alice@strasse.de"))
    await api.send_emails()
    older = mailbox.last("alice@strasse.de").token
    edited = await update_user(
        api.auth, OPERATOR, viewer.user_id, UserEdit(email="alice@straße.de")
    )
    assert (edited.email, edited.email_verified) == ("alice@straße.de", False)
    with pytest.raises(LinkInvalid):
        await verify_email(api.auth, Client(), older, TypedPassword(ALICE.password))
