"""`postern mail`, and the commands that send emails."""

import asyncio

import pytest
from sqlalchemy import update
from typer.testing import CliRunner

from models.database import Database
from models.outgoing_email import OutgoingEmail
from server.cli import main as cli
from tests.accounts import ALICE
from tests.commands import run, run_failing, use_development_settings
from tests.emails import SmtpServer
from tests.processes import free_port


@pytest.fixture(autouse=True)
def development(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    use_development_settings(monkeypatch, sqlite_url)


def test_mail_test_sends_an_email_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with SmtpServer() as server:
        monkeypatch.setenv("POSTERN_MAIL_URL", server.url)
        assert run("mail", "test", "me@example.com") == "The email was sent.\n"
    assert [mail.recipient for mail in server.emails] == ["me@example.com"]


def test_mail_test_reports_an_unreachable_mail_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTERN_MAIL_URL", f"smtp://127.0.0.1:{free_port()}")
    assert run_failing("mail", "test", "me@example.com") == [
        "The email could not be sent: SMTPConnectError"
    ]


def test_mail_list_shows_unsent_emails_without_addresses() -> None:
    run("user", "require-password-reset", "alice")
    (line,) = run("mail", "list").splitlines()
    assert "password_reset_required" in line
    assert ALICE.email not in line
    assert run("mail", "retry") == "Emails to be sent again: 0\n"


def test_mail_retry_retries_failed_emails(sqlite_url: str) -> None:
    run("user", "require-password-reset", "alice")
    asyncio.run(_fail_emails(sqlite_url))
    assert "  failed  " in run("mail", "list")
    assert run("mail", "retry") == "Emails to be sent again: 1\n"
    assert "  failed  " not in run("mail", "list")


async def _fail_emails(url: str) -> None:
    db = Database.connect(url)
    async with db.begin() as tx:
        await tx.execute(update(OutgoingEmail).values(next_attempt_at=None, last_error="550"))
    await db.close()


def test_mail_retry_reports_emails_that_cannot_be_sent_any_more(sqlite_url: str) -> None:
    run("user", "require-password-reset", "alice")
    asyncio.run(_fail_emails(sqlite_url))
    run("user", "disable", "alice")
    result = CliRunner().invoke(cli.app, ["mail", "retry"])
    assert result.exit_code == 1
    assert result.stdout == "Emails to be sent again: 0\n"
    assert "password_reset_required  cannot be sent: The account is disabled." in result.stderr
    assert "The account is disabled." in run("mail", "list")


def test_user_invite_sends_an_invitation() -> None:
    assert "carol@example.com" in run("user", "invite", "carol@example.com", "--role", "support")
    assert "invitation" in run("mail", "list")


def test_user_delete_deletes_after_confirmation() -> None:
    assert "deleted" in run("user", "delete", "alice", stdin="y\n")
    assert "alice" not in run("user", "list")


def test_user_delete_without_confirmation_does_nothing() -> None:
    with pytest.raises(AssertionError):
        run("user", "delete", "alice", stdin="n\n")
    assert "alice" in run("user", "list")
