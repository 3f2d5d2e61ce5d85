"""The command line: `postern`."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar
from uuid import UUID

import typer
import uvicorn

from auth.clock import Clock
from auth.errors import Refusal, Refusals, UserNotFound
from auth.new_users import NewUserForm
from auth.pages import Page
from auth.policies import Console, PermissionRegistry
from auth.records import UserRecord
from auth.roles import find_roles_by_name
from auth.users import (
    UserFilter,
    create_user,
    disable_user,
    enable_user,
    find_user_by_name,
    list_users,
    set_user_roles,
)
from auth.wiring import Auth
from graph.schema import build_schema
from models.database import DatabaseUnavailable
from models.migrate import upgrade
from server import doctor, reference
from server.app import build_auth
from server.development import with_development_secret
from server.logs import configure_logs
from server.settings import ConfigurationError, Settings, load_settings

T = TypeVar("T")

# Typer's own tracebacks print local variables, and with them passwords.
app = typer.Typer(
    help="Postern: accounts and sign-in behind one GraphQL API.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
user_app = typer.Typer(help="Accounts.", no_args_is_help=True)
keys_app = typer.Typer(help="The keys that sign access tokens.", no_args_is_help=True)
schema_app = typer.Typer(help="The GraphQL schema.", no_args_is_help=True)
app.add_typer(user_app, name="user")
app.add_typer(keys_app, name="keys")
app.add_typer(schema_app, name="schema")


class Stop(Exception):
    """The command cannot go on; each line says why, and what to do."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


def main() -> None:
    """Runs the command line; a problem is told in plain words, without a traceback."""
    try:
        app()
    except Stop as stop:
        _fail(stop.lines)
    except ConfigurationError as error:
        _fail(error.problems)
    except DatabaseUnavailable as error:
        _fail([f"The database cannot be reached ({error})."])


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
    settings = _read_settings()
    configure_logs(for_people=settings.in_development)
    if settings.in_development:
        asyncio.run(_migrate(settings))
    problems = asyncio.run(doctor.diagnose(settings))
    if problems:
        raise Stop(*problems)
    if settings.in_development:
        typer.echo(f"Postern serves at {settings.base_url}")
        typer.echo(f"  explorer {settings.base_url}/graphql")
    # uvicorn drains, then raises the signal that ended it once more: a wanted end is no failure.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    uvicorn.run(
        "server.process:app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )


@app.command()
def migrate() -> None:
    """Brings the database to the state that this version needs."""
    asyncio.run(_migrate(_read_settings()))
    typer.echo("The database is up to date.")


@app.command("doctor")
def run_doctor() -> None:
    """Says in plain words what is wrong with the configuration."""
    problems = asyncio.run(doctor.diagnose(_read_settings()))
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


@user_app.command("create")
def user_create(
    username: Annotated[str, typer.Option(help="The name to log in with.")],
    email: Annotated[str | None, typer.Option(help="E-mail address.")] = None,
    full_name: Annotated[str | None, typer.Option(help="Name for people.")] = None,
    role: Annotated[list[str] | None, typer.Option(help="A role; may be repeated.")] = None,
    *,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Creates an account; without --password-stdin nobody can log in to it yet."""
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None

    async def work(auth: Auth, console: Console) -> UserRecord:
        roles = await find_roles_by_name(auth, role or ["user"])
        form = NewUserForm(username, email, full_name, password)
        return await create_user(auth, console, form, [found.id for found in roles])

    _show_user(_run(work))


@user_app.command("list")
def user_list(
    search: Annotated[
        str | None, typer.Option(help="Beginning of a username or an e-mail address.")
    ] = None,
) -> None:
    """Lists all accounts, newest first."""

    async def work(auth: Auth, console: Console) -> None:
        after: UUID | None = None
        while True:
            page = Page(limit=100, after=after)
            slice_ = await list_users(auth, console, page=page, filters=UserFilter(search=search))
            for user in slice_.users:
                _show_user(user)
            if not slice_.has_next:
                return
            after = slice_.users[-1].id

    _run(work)


@user_app.command("disable")
def user_disable(username: str) -> None:
    """Ends a person's access at once."""
    _show_user(_run(lambda auth, console: _on_user(auth, console, username, disable_user)))


@user_app.command("enable")
def user_enable(username: str) -> None:
    """Lets a disabled person log in again."""
    _show_user(_run(lambda auth, console: _on_user(auth, console, username, enable_user)))


@user_app.command("roles")
def user_roles(
    username: str,
    role: Annotated[list[str] | None, typer.Argument(help="All roles the user shall have.")] = None,
) -> None:
    """Replaces the roles of a user; with none given, takes every role away."""

    async def work(auth: Auth, console: Console) -> UserRecord:
        roles = await find_roles_by_name(auth, role or [])
        user = await _find(auth, username)
        return await set_user_roles(auth, console, user.id, [found.id for found in roles])

    _show_user(_run(work))


@keys_app.command("list")
def keys_list() -> None:
    """Lists the keys that still verify, newest first."""

    async def work(auth: Auth, _console: Console) -> None:
        for key, state in await auth.keys.states():
            typer.echo(
                f"{key.kid}  {key.algorithm:<6} {state:<8} signs from {key.active_from:%F %T} UTC"
            )

    _run(work)


@keys_app.command("rotate")
def keys_rotate(
    *,
    compromised: Annotated[
        bool,
        typer.Option(help="Revoke all keys at once: every access token stops working."),
    ] = False,
) -> None:
    """Adds a key that is published now and signs in ten minutes, so that no request fails."""

    async def work(auth: Auth, _console: Console) -> None:
        rotate = auth.keys.replace_compromised if compromised else auth.keys.rotate
        key = await rotate()
        typer.echo(f"{key.kid} signs from {key.active_from:%F %T} UTC")

    _run(work)


def _read_settings() -> Settings:
    return with_development_secret(load_settings())


async def _migrate(settings: Settings) -> None:
    doctor.check(settings)
    auth = build_auth(settings, PermissionRegistry(), Clock())
    try:
        await upgrade(auth.db)
    finally:
        await auth.stop()


def _run(work: Callable[[Auth, Console], Awaitable[T]]) -> T:
    """Runs one use case as the console, on a database that was checked."""
    settings = _read_settings()
    doctor.check(settings)
    registry = PermissionRegistry()

    async def run() -> T:
        auth = build_auth(settings, registry, Clock())
        try:
            await doctor.check_database(auth.db)
            await doctor.check_keys(auth.keys)
            await auth.passwords.start()
            return await work(auth, Console(registry))
        finally:
            await auth.stop()

    try:
        return asyncio.run(run())
    except Refusals as refused:
        raise Stop(*(refusal.message for refusal in refused.refusals)) from None
    except Refusal as refusal:
        raise Stop(refusal.message) from None


async def _on_user(
    auth: Auth,
    console: Console,
    username: str,
    act: Callable[[Auth, Console, UUID], Awaitable[UserRecord]],
) -> UserRecord:
    return await act(auth, console, (await _find(auth, username)).id)


async def _find(auth: Auth, username: str) -> UserRecord:
    user = await find_user_by_name(auth, username)
    if user is None:
        raise UserNotFound
    return user


def _show_user(user: UserRecord) -> None:
    roles = ",".join(role.name for role in user.roles) or "-"
    state = "disabled" if user.disabled else "active"
    typer.echo(f"{user.id}  {user.username}  {user.email or '-'}  {roles}  {state}")


def _fail(lines: tuple[str, ...] | list[str]) -> None:
    for line in lines:
        typer.echo(f"postern: {line}", err=True)
    sys.exit(1)
