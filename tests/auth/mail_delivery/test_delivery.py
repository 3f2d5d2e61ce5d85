"""Delivery of emails: once each, with retries, also if the SMTP server or a process fails."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update
from structlog.testing import capture_logs

from auth.clients import Client
from auth.mail.outbox import EmailKind, queue_email
from auth.mail_delivery.delivery import (
    CLAIMED_FOR,
    FAILED_AFTER,
    LONGEST_RETRY_AFTER,
    EmailDelivery,
    retry_after,
)
from auth.mail_delivery.outbox_list import retry_failed_emails
from auth.password_reset import request_password_reset
from models.outgoing_email import OutgoingEmail
from server.mail_settings import build_delivery
from server.settings import Settings
from tests.accounts import ALICE
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.databases import wait_until
from tests.emails import SmtpServer


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


@pytest.fixture
def smtp_settings(settings: Settings, smtp: SmtpServer) -> Settings:
    return settings.model_copy(update={"mail_url": SecretStr(smtp.url)})


@pytest.fixture
async def sender(smtp_settings: Settings, clock: ManualClock) -> AsyncIterator[Api]:
    """A server with an SMTP server, without background jobs."""
    async with serving(smtp_settings, clock) as api:
        yield api


async def queue_tests(api: Api, *recipients: str) -> None:
    async with api.auth.db.begin() as tx:
        for recipient in recipients:
            queue_email(tx, api.auth, EmailKind.TEST, email=recipient)


async def list_outbox(api: Api) -> list[OutgoingEmail]:
    async with api.auth.db.read() as session:
        return list(await session.scalars(select(OutgoingEmail).order_by(OutgoingEmail.id)))


async def test_email_is_sent_and_deleted_from_outbox(sender: Api, smtp: SmtpServer) -> None:
    await queue_tests(sender, "a@example.com")
    await sender.send_emails()
    assert [email.recipient for email in smtp.emails] == ["a@example.com"]
    assert await list_outbox(sender) == []


async def test_rejected_email_is_retried_later(
    sender: Api, smtp: SmtpServer, clock: ManualClock
) -> None:
    smtp.refusal = "451 not now"
    await queue_tests(sender, "a@example.com")
    await sender.send_emails()
    (email,) = await list_outbox(sender)
    assert (email.attempts, email.last_error) == (1, "SMTPDataError 451")
    smtp.refusal = None
    await sender.send_emails()
    assert smtp.emails == []
    clock.tick(seconds=12)
    await sender.send_emails()
    assert len(smtp.emails) == 1


async def test_rejected_recipient_does_not_delay_other_emails(
    sender: Api, smtp: SmtpServer
) -> None:
    smtp.refused_recipients = {"gone@example.com"}
    await queue_tests(sender, "gone@example.com", "here@example.com")
    await sender.send_emails()
    assert [email.recipient for email in smtp.emails] == ["here@example.com"]
    (left,) = await list_outbox(sender)
    assert left.last_error == "SMTPRecipientRefused 550"


async def test_emails_are_sent_after_smtp_outage(
    sender: Api, smtp: SmtpServer, clock: ManualClock
) -> None:
    recipients = [f"user{number}@example.com" for number in range(25)]
    smtp.stop()
    await queue_tests(sender, *recipients)
    await sender.send_emails()
    assert len(await list_outbox(sender)) == 25
    smtp.start()
    clock.tick(minutes=1)
    await sender.send_emails()
    assert sorted(email.recipient for email in smtp.emails) == sorted(recipients)


async def test_emails_are_sent_once_if_smtp_server_hangs(sender: Api, smtp: SmtpServer) -> None:
    smtp.hangs = True
    await queue_tests(sender, *(f"user{number}@example.com" for number in range(12)))
    sending = asyncio.create_task(sender.delivery.deliver_due())
    await wait_until(lambda: smtp.seen == 10)
    # Another process finds only the emails that this one has not claimed.
    assert len([email for email in await list_outbox(sender) if email.attempts == 0]) == 2
    smtp.hangs = False
    await sending
    await sender.send_emails()
    assert len({email.recipient for email in smtp.emails}) == len(smtp.emails) == 12


async def test_two_processes_send_each_email_once(
    sender: Api, smtp_settings: Settings, smtp: SmtpServer, clock: ManualClock
) -> None:
    await queue_tests(sender, *(f"user{number}@example.com" for number in range(40)))
    async with serving(smtp_settings, clock) as other:
        await asyncio.gather(sender.send_emails(), other.send_emails())
        await sender.send_emails()
    assert len({email.recipient for email in smtp.emails}) == len(smtp.emails) == 40


async def test_email_claimed_by_dead_process_is_sent_after_claim_ends(
    sender: Api, smtp: SmtpServer, clock: ManualClock
) -> None:
    await queue_tests(sender, "a@example.com")
    await sender.delivery.claim(10)
    await sender.send_emails()
    assert smtp.emails == []
    clock.tick(seconds=CLAIMED_FOR.total_seconds())
    await sender.send_emails()
    (email,) = smtp.emails
    assert email.message["Message-ID"].startswith("<")


async def test_retried_email_contains_link(
    sender: Api, smtp: SmtpServer, clock: ManualClock
) -> None:
    await request_password_reset(sender.auth, Client(), email=ALICE.email)
    smtp.refusal = "451 not now"
    await sender.send_emails()
    smtp.refusal = None
    clock.tick(seconds=12)
    await sender.send_emails()
    (email,) = smtp.emails
    assert email.token


async def test_email_fails_after_three_days_and_stays_in_outbox(
    sender: Api, smtp: SmtpServer, clock: ManualClock
) -> None:
    smtp.refusal = "550 never"
    await queue_tests(sender, "a@example.com")
    clock.tick(seconds=FAILED_AFTER.total_seconds())
    with capture_logs() as logs:
        await sender.send_emails()
    assert [(log["event"], log["log_level"]) for log in logs] == [("email.failed", "error")]
    (email,) = await list_outbox(sender)
    assert email.next_attempt_at is None


async def test_retried_email_gets_three_more_days(
    sender: Api, smtp: SmtpServer, clock: ManualClock
) -> None:
    smtp.refusal = "451 later"
    await queue_tests(sender, "a@example.com")
    clock.tick(days=3)
    await sender.send_emails()
    await retry_failed_emails(sender.auth)
    await sender.send_emails()
    (email,) = await list_outbox(sender)
    assert email.next_attempt_at
    smtp.refusal = None
    clock.tick(hours=1)
    await sender.send_emails()
    assert len(smtp.emails) == 1


async def test_delivery_logs_contain_no_address_and_no_link(sender: Api, smtp: SmtpServer) -> None:
    smtp.refusal = "550 alice@example.com is unknown"
    await request_password_reset(sender.auth, Client(), email=ALICE.email)
    with capture_logs() as logs:
        await sender.send_emails()
        smtp.refusal = None
    assert logs
    assert "alice" not in str(logs)
    assert "plt_" not in str(logs)


async def test_internal_error_keeps_email_in_outbox(sender: Api, smtp: SmtpServer) -> None:
    async with sender.auth.db.begin() as tx:
        queue_email(tx, sender.auth, EmailKind.TEST)
    with capture_logs() as logs:
        await sender.send_emails()
    assert [log["event"] for log in logs] == ["email.internal_error", "email.not_delivered"]
    assert len(await list_outbox(sender)) == 1


async def test_retry_delay_doubles_up_to_limit() -> None:
    delays = [retry_after(attempt) for attempt in range(1, 200)]
    assert delays[:3] == [timedelta(seconds=10), timedelta(seconds=20), timedelta(seconds=40)]
    assert delays == sorted(delays)
    assert delays[-1] == LONGEST_RETRY_AFTER


async def test_stop_waits_for_email_that_is_being_sent(
    sender: Api, smtp_settings: Settings, smtp: SmtpServer
) -> None:
    delivery = build_delivery(smtp_settings, sender.auth)
    assert isinstance(delivery, EmailDelivery)
    smtp.hangs = True
    await queue_tests(sender, "a@example.com")
    delivery.start()
    await wait_until(lambda: smtp.seen == 1)
    stopping = asyncio.create_task(delivery.stop())
    await asyncio.sleep(0.1)
    assert not stopping.done()
    smtp.hangs = False
    await stopping
    assert await list_outbox(sender) == []


async def test_background_job_sends_emails(smtp_settings: Settings, smtp: SmtpServer) -> None:
    async with serving(smtp_settings, ManualClock(), with_jobs=True) as api:
        await queue_tests(api, "a@example.com")
        await wait_until(lambda: len(smtp.emails) == 1)


async def test_silent_smtp_server_times_out(
    settings: Settings, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auth.mail.transports.COMMAND_TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = SecretStr(f"smtp://127.0.0.1:{silent.getsockname()[1]}")
        async with serving(settings.model_copy(update={"mail_url": url}), clock) as api:
            await queue_tests(api, "a@example.com")
            await api.send_emails()
            (email,) = await list_outbox(api)
    assert email.last_error == "SMTPConnectTimeoutError"


async def test_link_uses_current_account_url(sender: Api, smtp: SmtpServer) -> None:
    await request_password_reset(sender.auth, Client(), email=ALICE.email)
    async with sender.auth.db.begin() as tx:
        await tx.execute(update(OutgoingEmail).values(created_at=sender.auth.clock.now()))
    await sender.send_emails()
    assert "http://localhost:8000/account/reset-password" in smtp.emails[0].link


# Kinds of a newer version


async def queue_unknown(api: Api) -> None:
    """Queues an email of a kind that only a newer version knows."""
    async with api.auth.db.begin() as tx:
        email_id = queue_email(tx, api.auth, EmailKind.TEST, email="a@example.com")
        await tx.flush()
        newer = update(OutgoingEmail).where(OutgoingEmail.id == email_id).values(kind="telegram")
        await tx.execute(newer)


async def test_email_of_unknown_kind_is_left_for_a_newer_version(
    sender: Api, smtp: SmtpServer, clock: ManualClock
) -> None:
    await queue_unknown(sender)
    await queue_tests(sender, "b@example.com")
    with capture_logs() as logs:
        for _ in range(5):
            await sender.send_emails()
            clock.tick(minutes=11)
    assert [(log["event"], log.get("kind")) for log in logs] == [
        ("email.kind_unknown", "telegram"),
        ("email.sent", "test"),
    ]
    (email,) = await list_outbox(sender)
    assert (email.attempts, email.last_error) == (0, None)
    assert email.next_attempt_at
    assert email.next_attempt_at <= clock.now()


async def test_email_of_unknown_kind_fails_after_days(sender: Api, clock: ManualClock) -> None:
    await queue_unknown(sender)
    await sender.send_emails()
    clock.tick(seconds=FAILED_AFTER.total_seconds())
    with capture_logs() as logs:
        await sender.send_emails()
    assert [(log["event"], log["log_level"]) for log in logs] == [("email.failed", "error")]
    (email,) = await list_outbox(sender)
    assert email.next_attempt_at is None
    assert email.last_error == "this version of Postern does not know the kind of this email"


async def test_emails_of_unknown_kind_do_not_delay_others(sender: Api, smtp: SmtpServer) -> None:
    for _ in range(30):
        await queue_unknown(sender)
    await queue_tests(sender, "b@example.com")
    await sender.send_emails()
    assert [email.recipient for email in smtp.emails] == ["b@example.com"]
