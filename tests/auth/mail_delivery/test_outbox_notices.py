"""Security notices are sent to the address that the account had when they were queued."""

from itertools import pairwise

import pytest
from sqlalchemy import update

from auth.account_deletion import delete_account, delete_user
from auth.clients import Client
from auth.email_change import confirm_email_change, request_email_change
from auth.login import log_in
from auth.mail.outbox import EmailKind, queue_email
from auth.password_change import change_password
from auth.password_reset import request_password_reset, reset_password
from auth.permissions import Actor
from auth.user_access import disable_user
from auth.user_creation import NewUserForm, create_user
from auth.user_edits import UserEdit, update_user
from auth.viewers import Viewer, get_viewer
from models.user import User
from tests.accounts import ALICE, OPERATOR
from tests.api import Api
from tests.emails import Mailbox

NEXT_PASSWORD = "roses in december"
NEW_EMAIL = "alice.new@example.com"


@pytest.fixture
async def quiet(api: Api) -> Api:
    """The server without background delivery of email."""
    await api.delivery.stop()
    return api


@pytest.fixture
async def viewer(quiet: Api, alice: str) -> Viewer:
    return await get_viewer(quiet.auth, Client(), alice)


async def subjects_to(api: Api, mailbox: Mailbox, email: str) -> list[str]:
    """Sends the queued emails. Returns the subjects of those to an address."""
    await api.send_emails()
    return [mail.subject for mail in mailbox.emails(email)]


async def delete(api: Api, actor: Actor, viewer: Viewer) -> None:
    await delete_user(api.auth, actor, viewer.user_id)


async def test_password_change_notice_is_sent_after_deletion(
    quiet: Api, viewer: Viewer, mailbox: Mailbox
) -> None:
    await change_password(quiet.auth, viewer, current=ALICE.password, new=NEXT_PASSWORD)
    await delete_account(quiet.auth, viewer, password=NEXT_PASSWORD)
    changed, deleted = await subjects_to(quiet, mailbox, ALICE.email)
    assert "password" in changed
    assert "deleted" in deleted
    assert "Hello alice," in mailbox.emails(ALICE.email)[0].text


async def test_password_reset_notice_is_sent_after_deletion(
    quiet: Api, viewer: Viewer, mailbox: Mailbox
) -> None:
    await request_password_reset(quiet.auth, Client(), email=ALICE.email)
    await quiet.send_emails()
    token = mailbox.last(ALICE.email).token
    await reset_password(quiet.auth, Client(), token=token, new=NEXT_PASSWORD)
    await delete(quiet, OPERATOR, viewer)
    _, changed, deleted = await subjects_to(quiet, mailbox, ALICE.email)
    assert "password" in changed
    assert "deleted" in deleted


async def test_email_change_notice_is_sent_after_deletion(
    quiet: Api, viewer: Viewer, mailbox: Mailbox
) -> None:
    await request_email_change(quiet.auth, viewer, new_email=NEW_EMAIL, password=ALICE.password)
    await quiet.send_emails()
    token = mailbox.last(NEW_EMAIL).token
    await confirm_email_change(quiet.auth, Client(), token, password=ALICE.password)
    await delete(quiet, OPERATOR, viewer)
    (changed,) = await subjects_to(quiet, mailbox, ALICE.email)
    assert "address" in changed


async def test_operator_email_change_notice_is_sent_after_deletion(
    quiet: Api, viewer: Viewer, mailbox: Mailbox
) -> None:
    await update_user(quiet.auth, OPERATOR, viewer.user_id, UserEdit(email=NEW_EMAIL))
    await delete(quiet, OPERATOR, viewer)
    (changed,) = await subjects_to(quiet, mailbox, ALICE.email)
    assert "address" in changed


async def test_temporary_password_notice_is_sent_after_deletion(
    quiet: Api, admin: str, mailbox: Mailbox
) -> None:
    operator = await get_viewer(quiet.auth, Client(), admin)
    form = NewUserForm("carol", "carol@example.com", None, "tulips in november")
    user = await create_user(quiet.auth, operator, form, [])
    await log_in(
        quiet.auth,
        Client(),
        username="carol",
        password="tulips in november",
        new_password=NEXT_PASSWORD,
    )
    await delete_user(quiet.auth, OPERATOR, user.id)
    changed, _ = await subjects_to(quiet, mailbox, "carol@example.com")
    assert "password" in changed


async def test_password_notice_is_sent_to_address_at_time_of_change(
    quiet: Api, viewer: Viewer, mailbox: Mailbox
) -> None:
    await change_password(quiet.auth, viewer, current=ALICE.password, new=NEXT_PASSWORD)
    await update_user(quiet.auth, OPERATOR, viewer.user_id, UserEdit(email=NEW_EMAIL))
    assert len(await subjects_to(quiet, mailbox, ALICE.email)) == 2


async def test_notices_are_not_rate_limited(quiet: Api, viewer: Viewer, mailbox: Mailbox) -> None:
    passwords = [ALICE.password, *(f"roses in december {number}" for number in range(5))]
    for current, new in pairwise(passwords):
        await change_password(quiet.auth, viewer, current=current, new=new)
    assert len(await subjects_to(quiet, mailbox, ALICE.email)) == 5
    await request_password_reset(quiet.auth, Client(), email=ALICE.email)
    assert len(await subjects_to(quiet, mailbox, ALICE.email)) == 6


async def test_notice_is_sent_to_a_disabled_account(
    quiet: Api, viewer: Viewer, mailbox: Mailbox
) -> None:
    await change_password(quiet.auth, viewer, current=ALICE.password, new=NEXT_PASSWORD)
    await disable_user(quiet.auth, OPERATOR, viewer.user_id)
    assert len(await subjects_to(quiet, mailbox, ALICE.email)) == 1


async def test_notice_queued_by_older_version_is_sent(
    quiet: Api, viewer: Viewer, mailbox: Mailbox
) -> None:
    async with quiet.auth.db.begin() as tx:
        queue_email(tx, quiet.auth, EmailKind.PASSWORD_CHANGED, user_id=str(viewer.user_id))
    assert len(await subjects_to(quiet, mailbox, ALICE.email)) == 1


async def test_account_without_email_queues_no_notice(
    quiet: Api, viewer: Viewer, mailbox: Mailbox
) -> None:
    async with quiet.auth.db.begin() as tx:
        await tx.execute(
            update(User).where(User.id == viewer.user_id).values(email=None, email_key=None)
        )
    await change_password(quiet.auth, viewer, current=ALICE.password, new=NEXT_PASSWORD)
    await quiet.send_emails()
    assert mailbox.emails() == []
