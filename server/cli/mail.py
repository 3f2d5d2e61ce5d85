"""`postern mail`: what waits to be sent, and whether it can be."""

from typing import Annotated
from uuid import uuid4

import typer

from auth.errors import MailUnavailable
from auth.mail.outbox import Kind
from auth.mail.rendering import Letter
from auth.mail.transports import NotDelivered, parse_mail_url
from auth.mail_delivery.outbox_list import list_waiting_mails, retry_mails
from auth.names import parse_email
from auth.permissions import Console
from auth.wiring import Auth
from server.cli.console import read_settings, run_as_console
from server.command_failure import CommandFailed
from server.mail_settings import build_writer

mail_app = typer.Typer(help="Mail.", no_args_is_help=True)


@mail_app.command("test")
def mail_test(email: Annotated[str, typer.Argument(help="Where to send it.")]) -> None:
    """Sends a mail at once, and says what the mail server answers."""
    settings = read_settings()

    async def work(auth: Auth, _console: Console) -> None:
        transport = parse_mail_url(settings.transport_url)
        if transport is None:
            raise MailUnavailable
        parse_email(email)
        letter = Letter(Kind.TEST, email, {"email": email})
        message = build_writer(settings).write(letter, uuid4(), auth.clock.now())
        await transport.send(message)

    try:
        run_as_console(work)
    except NotDelivered as error:
        raise CommandFailed(f"The mail was not taken: {error}") from None
    typer.echo("The mail is on its way.")


@mail_app.command("list")
def mail_list() -> None:
    """Lists what has not been sent yet, oldest first."""

    async def work(auth: Auth, _console: Console) -> None:
        async for mail in list_waiting_mails(auth):
            when = mail.next_attempt_at.isoformat() if mail.next_attempt_at else "given up"
            typer.echo(
                f"{mail.id}  {mail.kind}  {mail.attempts} attempts  {when}  {mail.error or '-'}"
            )

    run_as_console(work)


@mail_app.command("retry")
def mail_retry() -> None:
    """Send failed emails again. Exits with 1 if some cannot be sent any more."""
    result = run_as_console(lambda auth, _console: retry_mails(auth))
    typer.echo(f"{result.retried} mails will be tried again.")
    for mail in result.obsolete:
        typer.echo(f"{mail.id}  {mail.kind}  cannot be sent: {mail.error}", err=True)
    if result.obsolete:
        raise typer.Exit(1)
