"""Email composition: usernames never become links."""

import re

import pytest
from sqlalchemy import update

from auth.clients import Client
from auth.email_change import request_email_change
from auth.email_verification import request_email_verification
from auth.password_change import change_password
from auth.password_reset import request_password_reset
from auth.registration import register
from auth.user_creation import NewUserForm
from auth.viewers import get_viewer
from models.user import User
from server.settings import EmailVerification, Settings
from tests.accounts import ALICE
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.emails import Mailbox

HERE = Client("192.0.2.7")
VICTIM = "victim@example.com"
PASSWORD = "of course a good one"
LINK_LIKE = ["www.evil.example", "evil.example", "ẹvil.example", "0800-555-1234"]


@pytest.mark.parametrize("username", LINK_LIKE)
async def test_registration_email_shows_no_link_from_username(
    settings: Settings, clock: ManualClock, mailbox: Mailbox, username: str
) -> None:
    """Email programs turn a username that looks like a domain into a link."""
    changes = {"email_verification": EmailVerification.REQUIRED}
    async with serving(settings.model_copy(update=changes), clock) as api:
        await register(api.auth, HERE, NewUserForm(username, VICTIM, password=PASSWORD))
        await api.send_emails()
    assert_no_foreign_link(mailbox, VICTIM, 1)


@pytest.mark.parametrize("username", LINK_LIKE)
async def test_other_emails_show_no_link_from_username(
    sqlite_api: Api, mailbox: Mailbox, username: str
) -> None:
    await register(sqlite_api.auth, HERE, NewUserForm(username, VICTIM, password=PASSWORD))
    token = (await sqlite_api.try_login(username, PASSWORD))["tokens"]["accessToken"]
    viewer = await get_viewer(sqlite_api.auth, HERE, token)
    await request_email_verification(sqlite_api.auth, viewer)
    await request_password_reset(sqlite_api.auth, HERE, email=VICTIM)
    await sqlite_api.send_emails()
    other = "other.victim@example.com"
    await request_email_change(sqlite_api.auth, viewer, new_email=other, password=PASSWORD)
    await sqlite_api.send_emails()
    await change_password(sqlite_api.auth, viewer, current=PASSWORD, new=PASSWORD + "!")
    await sqlite_api.send_emails()
    assert_no_foreign_link(mailbox, VICTIM, 3)
    assert_no_foreign_link(mailbox, other, 1)


def assert_no_foreign_link(mailbox: Mailbox, to: str, count: int) -> None:
    """Checks that only links to this server and the recipient look like links."""
    mails = mailbox.emails(to)
    assert len(mails) == count
    for mail in mails:
        for content in (mail.text, mail.html):
            text = re.sub(r"http://localhost:8000/\S+", "", content).replace(to, "")
            assert "evil" not in text
            assert "0800" not in text


async def test_email_shows_username(sqlite_api: Api, mailbox: Mailbox) -> None:
    await request_password_reset(sqlite_api.auth, HERE, email=ALICE.email)
    await sqlite_api.send_emails()
    assert mailbox.last(ALICE.email).text.startswith("Hello alice,")


async def test_username_with_dot_is_replaced_by_address(sqlite_api: Api, mailbox: Mailbox) -> None:
    async with sqlite_api.auth.db.begin() as tx:
        await tx.execute(
            update(User)
            .where(User.username == "alice")
            .values(username="alice.liddell", username_key="alice.liddell")
        )
    await request_password_reset(sqlite_api.auth, HERE, email=ALICE.email)
    await sqlite_api.send_emails()
    assert mailbox.last(ALICE.email).text.startswith(f"Hello {ALICE.email},")
