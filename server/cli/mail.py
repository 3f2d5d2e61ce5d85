"""`postern mail`: the outbox, and a test of email delivery."""

from typing import Annotated
from uuid import uuid4

import typer

from auth.errors import MailUnavailable
from auth.mail.outbox import EmailKind
from auth.mail.rendering import Message
from auth.mail.transports import NotDelivered, parse_mail_url
from auth.mail_delivery.outbox_list import list_pending_emails, retry_failed_emails
from auth.names import parse_email
from auth.permissions import Console
from auth.wiring import Auth
from server.cli.console import read_settings, run_as_console
from server.command_failure import CommandFailed
from server.mail_settings import build_renderer

mail_app = typer.Typer(help="Test email delivery and manage unsent emails.", no_args_is_help=True)


@mail_app.command("test")
def mail_test(email: Annotated[str, typer.Argument(help="The recipient.")]) -> None:
    """Send a test email at once, and print the answer of the mail server if it fails."""
    settings = read_settings()

    async def work(auth: Auth, _console: Console) -> None:
        transport = parse_mail_url(settings.transport_url)
        if transport is None:
            raise MailUnavailable
        parse_email(email)
        message = Message(EmailKind.TEST, email, {"email": email})
        renderer = build_renderer(settings)
        await transport.send(renderer.render(message, uuid4(), auth.clock.now()))

    try:
        run_as_console(work)
    except NotDelivered as error:
        raise CommandFailed(f"The email could not be sent: {error}") from None
    typer.echo("The email was sent.")


@mail_app.command("list")
def mail_list() -> None:
    """List the emails that have not been sent, oldest first."""

    async def work(auth: Auth, _console: Console) -> None:
        async for mail in list_pending_emails(auth):
            when = mail.next_attempt_at.isoformat() if mail.next_attempt_at else "failed"
            typer.echo(
                f"{mail.id}  {mail.kind}  {mail.attempts} attempts  {when}  {mail.error or '-'}"
            )

    run_as_console(work)


@mail_app.command("retry")
def mail_retry() -> None:
    """Retry failed emails. The exit status is 1 if some of them cannot be sent any more."""
    result = run_as_console(lambda auth, _console: retry_failed_emails(auth))
    typer.echo(f"Emails to be sent again: {result.retried}")
    for mail in result.obsolete:
        typer.echo(f"{mail.id}  {mail.kind}  cannot be sent: {mail.error}", err=True)
    if result.obsolete:
        raise typer.Exit(1)
