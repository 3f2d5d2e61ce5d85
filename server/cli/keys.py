"""`postern keys`: the keys that sign access tokens."""

from typing import Annotated

import typer

from auth.permissions import Console
from auth.wiring import Auth
from server.cli.console import run_as_console

keys_app = typer.Typer(help="Manage the keys that sign access tokens.", no_args_is_help=True)


@keys_app.command("list")
def keys_list() -> None:
    """List the signing keys that are not expired, newest first."""

    async def work(auth: Auth, _console: Console) -> None:
        for key, state in await auth.keys.states():
            typer.echo(
                f"{key.kid}  {key.algorithm:<6} {state:<8} signs from {key.active_from:%F %T} UTC"
            )

    run_as_console(work)


@keys_app.command("rotate")
def keys_rotate(
    *,
    compromised: Annotated[
        bool,
        typer.Option(help="Revoke all keys at once. All access tokens become invalid."),
    ] = False,
) -> None:
    """Add a signing key. It is published now and used from ten minutes on, so no request fails."""

    async def work(auth: Auth, console: Console) -> None:
        rotate = auth.keys.replace_compromised if compromised else auth.keys.rotate
        key = await rotate(console)
        typer.echo(f"{key.kid} signs from {key.active_from:%F %T} UTC")

    run_as_console(work, replaces_keys=compromised)
