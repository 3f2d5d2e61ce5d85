"""Email verification: the mutations `requestEmailVerification` and `verifyEmail`."""

from tests.accounts import ALICE
from tests.api import Api, codes
from tests.emails import Mailbox
from tests.graph.payloads import mutate


async def request_link(api: Api, mailbox: Mailbox) -> str:
    """Requests a verification link for Alice and returns its token."""
    token = await api.log_in(ALICE)
    sent = await mutate(api, "requestEmailVerification", token=token)
    assert sent["emailSentTo"] == ALICE.email
    await api.send_emails()
    return mailbox.last(ALICE.email).token


async def test_verify_email_with_link_and_password(api: Api, mailbox: Mailbox) -> None:
    fields = {"token": await request_link(api, mailbox), "password": ALICE.password}
    payload = await mutate(api, "verifyEmail", fields)
    assert payload["user"] == {"emailVerified": True}


async def test_verify_email_requires_a_password(sqlite_api: Api, mailbox: Mailbox) -> None:
    payload = await mutate(
        sqlite_api, "verifyEmail", {"token": await request_link(sqlite_api, mailbox)}
    )
    assert codes(payload) == ["PASSWORD_REQUIRED"]


async def test_verification_of_verified_email_is_refused(sqlite_api: Api, mailbox: Mailbox) -> None:
    fields = {"token": await request_link(sqlite_api, mailbox), "password": ALICE.password}
    await mutate(sqlite_api, "verifyEmail", fields)
    token = await sqlite_api.log_in(ALICE)
    payload = await mutate(sqlite_api, "requestEmailVerification", token=token)
    assert codes(payload) == ["EMAIL_ALREADY_VERIFIED"]
