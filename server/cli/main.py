"""The `postern` command and its subcommands."""

import asyncio
from collections.abc import Mapping
from typing import Annotated

import typer
from strawberry import Schema

from auth.permissions import PermissionRegistry
from graph.schema import build_schema
from server import doctor, reference
from server.cli import serve as cli_serve
from server.cli.console import read_settings
from server.cli.keys import keys_app
from server.cli.mail import mail_app
from server.cli.sessions import sessions_app
from server.cli.transfer import export_command, import_command
from server.cli.users import user_app
from server.command_failure import CommandFailed
from server.custom_app import load_app, postern_of
from server.http.middleware import GRAPHQL

# Typer's tracebacks would print local variables, which can contain passwords.
app = typer.Typer(
    help="Postern is a self-hosted authentication server with a GraphQL API.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
schema_app = typer.Typer(help="Export the GraphQL schema.", no_args_is_help=True)
user_app.command("import")(import_command)
user_app.command("export")(export_command)
app.add_typer(user_app, name="user")
app.add_typer(keys_app, name="keys")
app.add_typer(mail_app, name="mail")
app.add_typer(sessions_app, name="sessions")
app.add_typer(schema_app, name="schema")


def main() -> None:
    """Runs the command line. Prints errors without a traceback."""
    cli_serve.run_command_line(app)


@app.command()
def serve(
    app: Annotated[
        str | None, typer.Option(metavar="MODULE:FUNCTION", help=cli_serve.APP_HELP)
    ] = None,
    host: Annotated[str | None, typer.Option(help=cli_serve.HOST_HELP)] = None,
    port: Annotated[int | None, typer.Option(help=cli_serve.PORT_HELP)] = None,
    workers: Annotated[int, typer.Option(min=1, help=cli_serve.WORKERS_HELP)] = 1,
) -> None:
    """Start the server."""
    cli_serve.serve(host, port, workers, app=app)


@app.command()
def migrate() -> None:
    """Migrate the database to this version of Postern."""
    asyncio.run(cli_serve.migrate_database(read_settings()))
    typer.echo("The database is up to date.")


@app.command("doctor")
def run_doctor() -> None:
    """Check the configuration and the database."""
    problems = asyncio.run(doctor.diagnose(read_settings()))
    if problems:
        raise CommandFailed(*problems)
    typer.echo("No problems found.")


@app.command()
def access() -> None:
    """Print who may use each field (docs/access.md)."""
    typer.echo(reference.access_page(build_schema(PermissionRegistry())), nl=False)


@app.command()
def errors() -> None:
    """Print all error codes (docs/errors.md)."""
    typer.echo(reference.errors_page(), nl=False)


@app.command("settings")
def print_settings() -> None:
    """Print all settings with their defaults (docs/settings.md)."""
    typer.echo(reference.settings_page(), nl=False)


@schema_app.command("export")
def export(
    app: Annotated[
        str | None, typer.Option(metavar="MODULE:FUNCTION", help=cli_serve.APP_HELP)
    ] = None,
    path: Annotated[
        str, typer.Option(help="The path of a custom schema, such as /notes/graphql.")
    ] = GRAPHQL,
) -> None:
    """Print the GraphQL schema (schema.graphql)."""
    if app is None:
        schemas: Mapping[str, Schema] = {GRAPHQL: build_schema(PermissionRegistry())}
    else:
        schemas = postern_of(load_app(app)).state.schemas
    if path not in schemas:
        raise CommandFailed(f"There is no schema at {path}.", f"Schemas: {', '.join(schemas)}.")
    typer.echo(schemas[path].as_str())
