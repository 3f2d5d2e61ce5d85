"""Password reset: the mutations `requestPasswordReset` and `resetPassword`."""

from tests.accounts import ALICE
from tests.api import Api, codes
from tests.emails import Mailbox
from tests.graph.payloads import mutate

NEW_PASSWORD = "of course a good one"


async def test_reset_password_sets_password_and_ends_sessions(
    api: Api, alice: str, mailbox: Mailbox
) -> None:
    sent = await mutate(api, "requestPasswordReset", {"email": ALICE.email})
    assert sent["emailSentTo"] == ALICE.email
    await api.send_emails()
    reset = {"token": mailbox.last(ALICE.email).token, "newPassword": NEW_PASSWORD}
    assert (await mutate(api, "resetPassword", reset))["endedSessions"] == 1
    assert (await api.ask("{ me { id } }", token=alice))["data"] == {"me": None}
    login = {"username": ALICE.username, "password": NEW_PASSWORD}
    assert (await mutate(api, "login", login))["tokens"]


async def test_reset_link_works_once(sqlite_api: Api, mailbox: Mailbox) -> None:
    await mutate(sqlite_api, "requestPasswordReset", {"email": ALICE.email})
    await sqlite_api.send_emails()
    reset = {"token": mailbox.last(ALICE.email).token, "newPassword": NEW_PASSWORD}
    await mutate(sqlite_api, "resetPassword", reset)
    assert codes(await mutate(sqlite_api, "resetPassword", reset)) == ["LINK_INVALID"]


async def test_reset_request_does_not_reveal_unknown_address(
    sqlite_api: Api, mailbox: Mailbox
) -> None:
    unknown = {"email": "unknown@example.com"}
    sent = await mutate(sqlite_api, "requestPasswordReset", unknown)
    assert sent == {"emailSentTo": unknown["email"], "errors": []}
    await sqlite_api.send_emails()
    assert mailbox.emails() == []
