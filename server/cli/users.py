"""`postern user`: creates, changes and lists accounts."""

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

import typer

from auth.account_deletion import delete_user
from auth.errors import UserNotFound
from auth.invitations import InvitationRecord, create_invitation
from auth.list_pages import Page
from auth.password_reset import require_password_reset
from auth.permissions import Console
from auth.records import UserRecord
from auth.roles import find_roles_by_name
from auth.temporary_passwords import set_temporary_password
from auth.user_access import disable_user, enable_user, set_user_roles
from auth.user_creation import NewUserForm, create_user
from auth.user_list import UserFilter, list_users
from auth.users import find_user_by_name
from auth.wiring import Auth
from server.cli.console import run_as_console

user_app = typer.Typer(help="Manage user accounts.", no_args_is_help=True)

_ROLE_HELP = "A role. Repeat the option for more roles."


@user_app.command("create")
def user_create(
    username: Annotated[str, typer.Option(help="The username to sign in with.")],
    email: Annotated[str | None, typer.Option(help="The email address.")] = None,
    full_name: Annotated[str | None, typer.Option(help="The full name.")] = None,
    role: Annotated[list[str] | None, typer.Option(help=_ROLE_HELP)] = None,
    *,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Create an account. Without --password-stdin it has no password and cannot sign in."""
    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None

    async def work(auth: Auth, console: Console) -> UserRecord:
        roles = await find_roles_by_name(auth, role or ["user"])
        form = NewUserForm(username, email, full_name, password)
        return await create_user(auth, console, form, [found.id for found in roles])

    _show_user(run_as_console(work))


@user_app.command("list")
def user_list(
    search: Annotated[
        str | None, typer.Option(help="The start of a username or an email address.")
    ] = None,
) -> None:
    """List all accounts, newest first."""

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

    run_as_console(work)


@user_app.command("disable")
def user_disable(username: str) -> None:
    """Disable an account and end its sessions."""
    _show_user(
        run_as_console(lambda auth, console: _on_user(auth, console, username, disable_user))
    )


@user_app.command("enable")
def user_enable(username: str) -> None:
    """Enable a disabled account."""
    _show_user(run_as_console(lambda auth, console: _on_user(auth, console, username, enable_user)))


@user_app.command("delete")
def user_delete(
    username: str,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete an account permanently."""
    if not yes:
        typer.confirm(f"Delete the account {username} permanently?", abort=True)

    async def work(auth: Auth, console: Console) -> UUID:
        return await delete_user(auth, console, (await _get_user(auth, username)).id)

    typer.echo(f"{run_as_console(work)}  deleted")


@user_app.command("require-password-reset")
def user_require_password_reset(username: str) -> None:
    """Remove the password of an account, end its sessions and send a link to set a new one."""
    _show_user(
        run_as_console(
            lambda auth, console: _on_user(auth, console, username, require_password_reset)
        )
    )


@user_app.command("set-temporary-password")
def user_set_temporary_password(username: str) -> None:
    """Set a password from standard input that the user must replace within seven days."""
    password = sys.stdin.readline().rstrip("\r\n")

    async def work(auth: Auth, console: Console) -> UserRecord:
        user = await _get_user(auth, username)
        return await set_temporary_password(auth, console, user.id, password)

    _show_user(run_as_console(work))


@user_app.command("invite")
def user_invite(
    email: str,
    role: Annotated[list[str] | None, typer.Option(help=_ROLE_HELP)] = None,
) -> None:
    """Send an invitation."""

    async def work(auth: Auth, console: Console) -> InvitationRecord:
        roles = await find_roles_by_name(auth, role or [])
        ids = [found.id for found in roles]
        return await create_invitation(auth, console, email=email, role_ids=ids)

    invitation = run_as_console(work)
    typer.echo(f"{invitation.id}  {invitation.email}  until {invitation.expires_at.isoformat()}")


@user_app.command("roles")
def user_roles(
    username: str,
    role: Annotated[list[str] | None, typer.Argument(help="All roles of the user.")] = None,
) -> None:
    """Replace the roles of a user. Without roles, remove all of them."""

    async def work(auth: Auth, console: Console) -> UserRecord:
        roles = await find_roles_by_name(auth, role or [])
        user = await _get_user(auth, username)
        return await set_user_roles(auth, console, user.id, [found.id for found in roles])

    _show_user(run_as_console(work))


async def _on_user(
    auth: Auth,
    console: Console,
    username: str,
    use_case: Callable[[Auth, Console, UUID], Awaitable[UserRecord]],
) -> UserRecord:
    return await use_case(auth, console, (await _get_user(auth, username)).id)


async def _get_user(auth: Auth, username: str) -> UserRecord:
    user = await find_user_by_name(auth, username)
    if user is None:
        raise UserNotFound
    return user


def _show_user(user: UserRecord) -> None:
    roles = ",".join(role.name for role in user.roles) or "-"
    state = "disabled" if user.disabled else "active"
    typer.echo(f"{user.id}  {user.username}  {user.email or '-'}  {roles}  {state}")
