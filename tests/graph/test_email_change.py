"""Email change: the mutations `requestEmailChange` and `confirmEmailChange`."""

from tests.accounts import ALICE
from tests.api import Api, codes
from tests.emails import Mailbox
from tests.graph.payloads import mutate

NEW_EMAIL = "alice@example.org"


async def request_link(api: Api, mailbox: Mailbox) -> str:
    """Requests a link to the new address of Alice and returns its token."""
    token = await api.log_in(ALICE)
    fields = {"newEmail": NEW_EMAIL, "password": ALICE.password}
    sent = await mutate(api, "requestEmailChange", fields, token=token)
    assert sent["emailSentTo"] == NEW_EMAIL
    await api.send_emails()
    return mailbox.last(NEW_EMAIL).token


async def test_confirm_email_change_changes_address_and_notifies_old_one(
    api: Api, mailbox: Mailbox
) -> None:
    fields = {"token": await request_link(api, mailbox), "password": ALICE.password}
    payload = await mutate(api, "confirmEmailChange", fields)
    assert payload["user"] == {"email": NEW_EMAIL}
    await api.send_emails()
    assert mailbox.emails(ALICE.email)


async def test_confirm_email_change_requires_the_password(
    sqlite_api: Api, mailbox: Mailbox
) -> None:
    fields = {"token": await request_link(sqlite_api, mailbox)}
    assert codes(await mutate(sqlite_api, "confirmEmailChange", fields)) == ["PASSWORD_REQUIRED"]
