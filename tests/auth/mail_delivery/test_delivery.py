"""The outbox: every mail arrives, once, whatever the mail server does meanwhile."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update
from structlog.testing import capture_logs

from auth.clients import Client
from auth.mail.outbox import Kind, queue
from auth.mail_delivery.delivery import (
    GIVEN_UP_AFTER,
    LONGEST_PAUSE,
    TAKEN_FOR,
    MailDelivery,
    pause_after,
)
from auth.mail_delivery.outbox_list import retry_mails
from auth.password_reset import request_password_reset
from models.outgoing_mail import OutgoingMail
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
def mailing(settings: Settings, smtp: SmtpServer) -> Settings:
    return settings.model_copy(update={"mail_url": SecretStr(smtp.url)})


@pytest.fixture
async def post(mailing: Settings, clock: ManualClock) -> AsyncIterator[Api]:
    """A server that sends to that mail server, and not by itself."""
    async with serving(mailing, clock) as api:
        yield api


async def write(api: Api, *recipients: str) -> None:
    async with api.auth.db.begin() as tx:
        for recipient in recipients:
            queue(tx, api.auth, Kind.TEST, email=recipient)


async def waiting(api: Api) -> list[OutgoingMail]:
    async with api.auth.db.read() as session:
        return list(await session.scalars(select(OutgoingMail).order_by(OutgoingMail.id)))


async def test_a_mail_is_sent_and_struck_off(post: Api, smtp: SmtpServer) -> None:
    await write(post, "a@example.com")
    await post.send_emails()
    assert [mail.recipient for mail in smtp.emails] == ["a@example.com"]
    assert await waiting(post) == []


async def test_a_mail_of_a_transaction_that_failed_is_none(post: Api, smtp: SmtpServer) -> None:
    async with post.auth.db.begin() as tx:
        queue(tx, post.auth, Kind.TEST, email="a@example.com")
        await tx.rollback()
    await post.send_emails()
    assert smtp.emails == []


async def test_what_is_refused_is_tried_again_later(
    post: Api, smtp: SmtpServer, clock: ManualClock
) -> None:
    smtp.refusal = "451 not now"
    await write(post, "a@example.com")
    await post.send_emails()
    (mail,) = await waiting(post)
    assert (mail.attempts, mail.last_error) == (1, "SMTPDataError 451")
    smtp.refusal = None
    await post.send_emails()
    assert smtp.emails == []
    clock.tick(seconds=12)
    await post.send_emails()
    assert len(smtp.emails) == 1


async def test_an_address_that_is_refused_keeps_nobody_else_waiting(
    post: Api, smtp: SmtpServer
) -> None:
    smtp.refused_recipients = {"gone@example.com"}
    await write(post, "gone@example.com", "here@example.com")
    await post.send_emails()
    assert [mail.recipient for mail in smtp.emails] == ["here@example.com"]
    (left,) = await waiting(post)
    assert left.last_error == "SMTPRecipientRefused 550"


async def test_a_mail_server_that_is_down_loses_nothing(
    post: Api, smtp: SmtpServer, clock: ManualClock
) -> None:
    recipients = [f"person{number}@example.com" for number in range(25)]
    smtp.stop()
    await write(post, *recipients)
    await post.send_emails()
    assert len(await waiting(post)) == 25
    smtp.start()
    clock.tick(minutes=1)
    await post.send_emails()
    assert sorted(mail.recipient for mail in smtp.emails) == sorted(recipients)


async def test_a_mail_server_that_hangs_and_comes_back_gets_each_mail_once(
    post: Api, smtp: SmtpServer
) -> None:
    smtp.hangs = True
    await write(post, *(f"person{number}@example.com" for number in range(12)))
    sending = asyncio.create_task(post.delivery.deliver_due())
    await wait_until(lambda: smtp.seen == 10)
    # Another process finds only what this one has not taken.
    assert len([mail for mail in await waiting(post) if mail.attempts == 0]) == 2
    smtp.hangs = False
    await sending
    await post.send_emails()
    assert len({mail.recipient for mail in smtp.emails}) == len(smtp.emails) == 12


async def test_two_processes_send_each_mail_once(
    post: Api, mailing: Settings, smtp: SmtpServer, clock: ManualClock
) -> None:
    await write(post, *(f"person{number}@example.com" for number in range(40)))
    async with serving(mailing, clock) as other:
        await asyncio.gather(post.send_emails(), other.send_emails())
        await post.send_emails()
    assert len({mail.recipient for mail in smtp.emails}) == len(smtp.emails) == 40


async def test_what_a_dead_process_had_taken_is_sent_again_with_the_same_id(
    post: Api, smtp: SmtpServer, clock: ManualClock
) -> None:
    await write(post, "a@example.com")
    await post.delivery._take(10)
    await post.send_emails()
    assert smtp.emails == []
    clock.tick(seconds=TAKEN_FOR.total_seconds())
    await post.send_emails()
    (mail,) = smtp.emails
    assert mail.message["Message-ID"].startswith("<")


async def test_a_link_in_a_mail_that_is_sent_twice_works_in_both(
    post: Api, smtp: SmtpServer, clock: ManualClock
) -> None:
    await request_password_reset(post.auth, Client(), email=ALICE.email)
    smtp.refusal = "451 not now"
    await post.send_emails()
    smtp.refusal = None
    clock.tick(seconds=12)
    await post.send_emails()
    (mail,) = smtp.emails
    assert mail.token


async def test_a_mail_is_given_up_after_days_and_kept(
    post: Api, smtp: SmtpServer, clock: ManualClock
) -> None:
    smtp.refusal = "550 never"
    await write(post, "a@example.com")
    clock.tick(seconds=GIVEN_UP_AFTER.total_seconds())
    with capture_logs() as logs:
        await post.send_emails()
    assert [(log["event"], log["log_level"]) for log in logs] == [("mail.given_up", "error")]
    (mail,) = await waiting(post)
    assert mail.next_attempt_at is None


async def test_retried_email_gets_three_more_days(
    post: Api, smtp: SmtpServer, clock: ManualClock
) -> None:
    smtp.refusal = "451 later"
    await write(post, "a@example.com")
    clock.tick(days=3)
    await post.send_emails()
    await retry_mails(post.auth)
    await post.send_emails()
    (mail,) = await waiting(post)
    assert mail.next_attempt_at
    smtp.refusal = None
    clock.tick(hours=1)
    await post.send_emails()
    assert len(smtp.emails) == 1


async def test_the_log_holds_neither_address_nor_link(post: Api, smtp: SmtpServer) -> None:
    smtp.refusal = "550 alice@example.com is unknown"
    await request_password_reset(post.auth, Client(), email=ALICE.email)
    with capture_logs() as logs:
        await post.send_emails()
        smtp.refusal = None
    assert logs
    assert "alice" not in str(logs)
    assert "plt_" not in str(logs)


async def test_a_fault_of_ours_keeps_the_mail(post: Api, smtp: SmtpServer) -> None:
    async with post.auth.db.begin() as tx:
        queue(tx, post.auth, Kind.TEST)
    with capture_logs() as logs:
        await post.send_emails()
    assert [log["event"] for log in logs] == ["mail.fault", "mail.not_delivered"]
    assert len(await waiting(post)) == 1


async def test_pauses_grow_and_end_growing() -> None:
    pauses = [pause_after(attempt) for attempt in range(1, 200)]
    assert pauses[:3] == [timedelta(seconds=10), timedelta(seconds=20), timedelta(seconds=40)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE


async def test_a_server_that_stops_waits_for_what_is_being_sent(
    post: Api, mailing: Settings, smtp: SmtpServer
) -> None:
    delivery = build_delivery(mailing, post.auth)
    assert isinstance(delivery, MailDelivery)
    smtp.hangs = True
    await write(post, "a@example.com")
    delivery.start()
    await wait_until(lambda: smtp.seen == 1)
    stopping = asyncio.create_task(delivery.stop())
    await asyncio.sleep(0.1)
    assert not stopping.done()
    smtp.hangs = False
    await stopping
    assert await waiting(post) == []


async def test_mails_leave_by_themselves(mailing: Settings, smtp: SmtpServer) -> None:
    async with serving(mailing, ManualClock(), with_jobs=True) as api:
        await write(api, "a@example.com")
        await wait_until(lambda: len(smtp.emails) == 1)


async def test_a_line_that_says_nothing_is_given_up(
    settings: Settings, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auth.mail.transports.COMMAND_TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = SecretStr(f"smtp://127.0.0.1:{silent.getsockname()[1]}")
        async with serving(settings.model_copy(update={"mail_url": url}), clock) as api:
            await write(api, "a@example.com")
            await api.send_emails()
            (mail,) = await waiting(api)
    assert mail.last_error == "SMTPConnectTimeoutError"


async def test_what_a_person_is_told_by_mail_is_of_now(post: Api, smtp: SmtpServer) -> None:
    await request_password_reset(post.auth, Client(), email=ALICE.email)
    async with post.auth.db.begin() as tx:
        await tx.execute(update(OutgoingMail).values(created_at=post.auth.clock.now()))
    await post.send_emails()
    assert "http://localhost:8000/account/reset-password" in smtp.emails[0].link


async def test_a_server_without_mail_writes_none(
    settings: Settings, clock: ManualClock, tmp_path: Path
) -> None:
    async with serving(settings, clock) as api:
        object.__setattr__(api.auth, "sends_mail", False)
        await write(api, "a@example.com")
        assert await waiting(api) == []


# Emails of a newer version


async def queue_unknown(api: Api) -> None:
    """Queues an email of a kind that only a newer version knows."""
    async with api.auth.db.begin() as tx:
        mail_id = queue(tx, api.auth, Kind.TEST, email="a@example.com")
        await tx.flush()
        newer = update(OutgoingMail).where(OutgoingMail.id == mail_id).values(kind="telegram")
        await tx.execute(newer)


async def test_email_of_unknown_kind_is_left_for_a_newer_version(
    post: Api, smtp: SmtpServer, clock: ManualClock
) -> None:
    await queue_unknown(post)
    await write(post, "b@example.com")
    with capture_logs() as logs:
        for _ in range(5):
            await post.send_emails()
            clock.tick(minutes=11)
    assert [(log["event"], log.get("kind")) for log in logs] == [
        ("mail.kind_unknown", "telegram"),
        ("mail.sent", "test"),
    ]
    (mail,) = await waiting(post)
    assert (mail.attempts, mail.last_error) == (0, None)
    assert mail.next_attempt_at
    assert mail.next_attempt_at <= clock.now()


async def test_email_of_unknown_kind_fails_after_three_days(post: Api, clock: ManualClock) -> None:
    await queue_unknown(post)
    await post.send_emails()
    clock.tick(seconds=GIVEN_UP_AFTER.total_seconds())
    with capture_logs() as logs:
        await post.send_emails()
    assert [(log["event"], log["log_level"]) for log in logs] == [("mail.given_up", "error")]
    (mail,) = await waiting(post)
    assert mail.next_attempt_at is None
    assert mail.last_error == "this version of Postern does not know the kind of this email"


async def test_many_emails_of_unknown_kind_do_not_delay_others(post: Api, smtp: SmtpServer) -> None:
    for _ in range(30):
        await queue_unknown(post)
    await write(post, "b@example.com")
    await post.send_emails()
    assert [mail.recipient for mail in smtp.emails] == ["b@example.com"]
