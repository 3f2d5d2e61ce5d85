"""The command line: `postern`."""

import asyncio
import os
import signal
import sys
from typing import Annotated

import structlog
import typer
import uvicorn

from auth.clock import Clock
from auth.policies import PermissionRegistry
from graph.schema import build_schema
from graph.socket_connection import MAX_MESSAGE_BYTES
from models.database import DatabaseUnavailable
from server import doctor, reference
from server.app import build_auth
from server.cli_keys import keys_app
from server.cli_mail import mail_app
from server.cli_sessions import sessions_app
from server.cli_transfer import export_command, import_command
from server.cli_users import user_app
from server.connections import protocol
from server.console import Stop, read_settings
from server.environment import files_open_to_everybody
from server.logs import configure_logs
from server.settings import ConfigurationError, Settings

log = structlog.get_logger("postern.server")

# Typer's own tracebacks print local variables, and with them passwords.
app = typer.Typer(
    help="Postern: accounts and sign-in behind one GraphQL API.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
schema_app = typer.Typer(help="The GraphQL schema.", no_args_is_help=True)
user_app.command("import")(import_command)
user_app.command("export")(export_command)
app.add_typer(user_app, name="user")
app.add_typer(keys_app, name="keys")
app.add_typer(mail_app, name="mail")
app.add_typer(sessions_app, name="sessions")
app.add_typer(schema_app, name="schema")


def main() -> None:
    """Runs the command line; a problem is told in plain words, without a traceback."""
    try:
        app()
    except Stop as stop:
        _fail(stop.lines)
    except ConfigurationError as error:
        _fail(error.problems)
    except DatabaseUnavailable as error:
        _fail([doctor.unreachable(error)])


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen on.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="How many processes.")] = 1,
) -> None:
    """Starts the server."""
    # The worker processes read the environment too.
    given = {"POSTERN_HOST": host, "POSTERN_PORT": port}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    settings = read_settings()
    configure_logs(for_people=settings.in_development)
    if settings.in_development:
        asyncio.run(_migrate(settings))
    problems = asyncio.run(doctor.diagnose(settings))
    if problems:
        raise Stop(*problems)
    for name in files_open_to_everybody():
        log.warning("settings.file_open_to_everybody", setting=name, advice="chmod o-r")
    if settings.in_development:
        typer.echo(f"Postern serves at {settings.base_url}")
        typer.echo(f"  explorer {settings.base_url}/graphql")
    # uvicorn drains, then raises the signal that ended it once more: a wanted end is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        "server.process:app",
        factory=True,
        interface="asgi3",
        lifespan="on",
        host=settings.host,
        port=settings.port,
        workers=workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
        http=protocol(settings.request_timeout),
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
    )


@app.command()
def migrate() -> None:
    """Brings the database to the state that this version needs."""
    asyncio.run(_migrate(read_settings()))
    typer.echo("The database is up to date.")


@app.command("doctor")
def run_doctor() -> None:
    """Says in plain words what is wrong with the configuration."""
    problems = asyncio.run(doctor.diagnose(read_settings()))
    if problems:
        raise Stop(*problems)
    typer.echo("All is well.")


@app.command()
def access() -> None:
    """Prints who may ask for which field (docs/access.md)."""
    typer.echo(reference.access_page(build_schema(PermissionRegistry())), nl=False)


@app.command()
def errors() -> None:
    """Prints every error code (docs/errors.md)."""
    typer.echo(reference.errors_page(), nl=False)


@app.command("settings")
def print_settings() -> None:
    """Prints every setting with its default (docs/settings.md)."""
    typer.echo(reference.settings_page(), nl=False)


@schema_app.command("export")
def export() -> None:
    """Prints the schema in GraphQL's own language (schema.graphql)."""
    typer.echo(build_schema(PermissionRegistry()).as_str())


async def _migrate(settings: Settings) -> None:
    from models.migrate import upgrade  # noqa: PLC0415 - Alembic is large, and `serve` needs none

    doctor.check(settings)
    auth = build_auth(settings, PermissionRegistry(), Clock())
    try:
        await upgrade(auth.db)
    finally:
        await auth.stop()


def _fail(lines: tuple[str, ...] | list[str]) -> None:
    for line in lines:
        typer.echo(f"postern: {line}", err=True)
    sys.exit(1)
