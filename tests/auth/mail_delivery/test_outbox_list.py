"""Retry of failed emails. Obsolete ones are reported with the reason."""

from uuid import UUID

import pytest
from sqlalchemy import select, update

from auth.clients import Client
from auth.housekeeping import clean_up
from auth.invitations import create_invitation
from auth.mail.outbox import EmailKind, queue_email
from auth.mail_delivery.outbox_list import RetryResult, retry_failed_emails
from auth.password_reset import request_password_reset, require_password_reset
from auth.registration import register
from auth.user_access import disable_user
from auth.user_creation import NewUserForm, create_user
from auth.users import find_user_by_name
from models.outgoing_email import OutgoingEmail
from tests.accounts import ALICE, OPERATOR
from tests.api import Api
from tests.clock import ManualClock
from tests.emails import Mailbox

CAROL = "carol@example.com"


@pytest.fixture
async def quiet(api: Api) -> Api:
    """The server without background delivery of email."""
    await api.delivery.stop()
    return api


async def fail_all(api: Api) -> None:
    """Marks every email as failed."""
    async with api.auth.db.begin() as tx:
        await tx.execute(update(OutgoingEmail).values(next_attempt_at=None, last_error="550"))


async def alice_id(api: Api) -> UUID:
    alice = await find_user_by_name(api.auth, ALICE.username)
    assert alice
    return alice.id


async def retry(api: Api) -> RetryResult:
    result = await retry_failed_emails(api.auth)
    await api.send_emails()
    return result


async def test_retry_after_twenty_days_sends_links_that_work(
    quiet: Api, mailbox: Mailbox, clock: ManualClock
) -> None:
    await require_password_reset(quiet.auth, OPERATOR, await alice_id(quiet))
    await request_password_reset(quiet.auth, Client(), email="bob@example.com")
    form = NewUserForm("carol", CAROL, None, "of course a good one")
    await register(quiet.auth, Client(), form)
    await fail_all(quiet)
    clock.tick(days=20)
    await clean_up(quiet.auth)
    result = await retry(quiet)
    assert (result.retried, result.obsolete) == (3, [])
    assert all(mailbox.last(to).token for to in (ALICE.email, "bob@example.com", CAROL))


async def test_retry_reports_and_keeps_expired_invitation(
    quiet: Api, mailbox: Mailbox, clock: ManualClock
) -> None:
    await create_invitation(quiet.auth, OPERATOR, email=CAROL, role_ids=[])
    await fail_all(quiet)
    clock.tick(days=7)
    result = await retry(quiet)
    (mail,) = result.obsolete
    assert result.retried == 0
    assert (mail.kind, mail.next_attempt_at) == ("invitation", None)
    assert mail.error
    assert "has expired" in mail.error
    assert mailbox.emails() == []
    async with quiet.auth.db.read() as session:
        assert await session.scalar(select(OutgoingEmail.last_error)) == mail.error


async def test_retry_reports_replaced_link(quiet: Api, mailbox: Mailbox) -> None:
    await require_password_reset(quiet.auth, OPERATOR, await alice_id(quiet))
    await fail_all(quiet)
    await require_password_reset(quiet.auth, OPERATOR, await alice_id(quiet))
    (mail,) = (await retry(quiet)).obsolete
    assert mail.error
    assert "replaced" in mail.error
    assert len(mailbox.emails()) == 1


async def test_retry_reports_disabled_account(quiet: Api) -> None:
    form = NewUserForm("carol", CAROL)
    user = await create_user(quiet.auth, OPERATOR, form, [])
    await fail_all(quiet)
    await disable_user(quiet.auth, OPERATOR, user.id)
    (mail,) = (await retry(quiet)).obsolete
    assert mail.error == "The account is disabled."


async def test_retry_reports_kind_of_newer_version(quiet: Api) -> None:
    async with quiet.auth.db.begin() as tx:
        queue_email(tx, quiet.auth, EmailKind.TEST, email=CAROL)
    await fail_all(quiet)
    async with quiet.auth.db.begin() as tx:
        await tx.execute(update(OutgoingEmail).values(kind="telegram"))
    (mail,) = (await retry(quiet)).obsolete
    assert mail.error
    assert "does not know" in mail.error


async def test_retry_ignores_emails_that_have_not_failed(quiet: Api) -> None:
    await require_password_reset(quiet.auth, OPERATOR, await alice_id(quiet))
    assert (await retry_failed_emails(quiet.auth)) == RetryResult(0, [])
