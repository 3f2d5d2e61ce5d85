"""The commands about mail, and those that have mail sent."""

import asyncio

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from models.database import Database
from models.outgoing_mail import OutgoingMail
from server.cli import main as cli
from tests.accounts import ALICE
from tests.commands import run, run_failing, use_development_settings
from tests.emails import SmtpServer
from tests.processes import free_port


@pytest.fixture(autouse=True)
def development(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    use_development_settings(monkeypatch, sqlite_url)


def test_a_mail_for_trying_is_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpServer() as server:
        monkeypatch.setenv("POSTERN_MAIL_URL", server.url)
        assert run("mail", "test", "me@example.com") == "The mail is on its way.\n"
    assert [mail.recipient for mail in server.emails] == ["me@example.com"]


def test_a_mail_server_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTERN_MAIL_URL", f"smtp://127.0.0.1:{free_port()}")
    assert run_failing("mail", "test", "me@example.com") == [
        "The mail was not taken: SMTPConnectError"
    ]


def test_what_waits_is_listed_and_tried_again() -> None:
    run("user", "require-password-reset", "alice")
    (line,) = run("mail", "list").splitlines()
    assert "password_reset_required" in line
    assert ALICE.email not in line
    assert run("mail", "retry") == "0 mails will be tried again.\n"


def test_what_was_given_up_is_tried_again(sqlite_url: str) -> None:
    run("user", "require-password-reset", "alice")
    asyncio.run(_give_up(sqlite_url))
    assert "given up" in run("mail", "list")
    assert run("mail", "retry") == "1 mails will be tried again.\n"
    assert "given up" not in run("mail", "list")


async def _give_up(url: str) -> None:
    db = Database.connect(url)
    async with db.begin() as tx:
        await tx.execute(update(OutgoingMail).values(next_attempt_at=None, last_error="550"))
    await db.close()


def test_mail_retry_reports_what_cannot_be_sent_any_more(sqlite_url: str) -> None:
    run("user", "require-password-reset", "alice")
    asyncio.run(_give_up(sqlite_url))
    run("user", "disable", "alice")
    result = CliRunner().invoke(cli.app, ["mail", "retry"])
    assert result.exit_code == 1
    assert result.stdout == "0 mails will be tried again.\n"
    assert "password_reset_required  cannot be sent: The account is disabled." in result.stderr
    assert "The account is disabled." in run("mail", "list")


def test_somebody_is_invited() -> None:
    assert "carol@example.com" in run("user", "invite", "carol@example.com", "--role", "support")
    assert "invitation" in run("mail", "list")


def test_an_account_is_deleted_when_asked_twice() -> None:
    assert "deleted" in run("user", "delete", "alice", stdin="y\n")
    assert "alice" not in run("user", "list")


def test_an_account_is_not_deleted_by_mistake() -> None:
    with pytest.raises(AssertionError):
        run("user", "delete", "alice", stdin="n\n")
    assert "alice" in run("user", "list")
