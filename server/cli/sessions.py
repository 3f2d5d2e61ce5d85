"""`postern sessions`: ends the sessions of all users."""

import sys

import typer

from auth.logout import end_all_sessions
from auth.permissions import Console
from auth.wiring import Auth
from server.cli.console import run_as_console

sessions_app = typer.Typer(help="End the sessions of all users.", no_args_is_help=True)


# Without a callback, Typer would run the only command for `postern sessions` itself.
@sessions_app.callback()
def _require_subcommand() -> None:
    pass


def _show_progress(ended: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\rSessions ended: {ended:,}")
        sys.stderr.flush()


@sessions_app.command("end-all")
def sessions_end_all() -> None:
    """Sign out all users and replace the signing keys. Use it after you restored a backup."""

    async def work(auth: Auth, console: Console) -> None:
        ended = await end_all_sessions(auth, console, _show_progress)
        typer.echo(
            f"Sessions ended: {ended}. The signing keys were replaced."
            " All users must sign in again."
        )

    run_as_console(work, replaces_keys=True)
