"""`postern sessions`: everybody's, at once."""

import sys

import typer

from auth.logout import end_all_sessions
from auth.permissions import Console
from auth.wiring import Auth
from server.cli.console import run_as_console

sessions_app = typer.Typer(help="The sessions of everybody.", no_args_is_help=True)


@sessions_app.callback()
def _several_commands() -> None:
    """Keeps `end-all` a word that has to be typed."""


def _show_progress(ended: int) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{ended:,} sessions ended")
        sys.stderr.flush()


@sessions_app.command("end-all")
def sessions_end_all() -> None:
    """Signs everybody out and replaces the signing keys: after a backup was restored."""

    async def work(auth: Auth, console: Console) -> None:
        ended = await end_all_sessions(auth, console, _show_progress)
        typer.echo(f"ended sessions: {ended}; all keys are replaced, and everybody signs in again")

    run_as_console(work, replaces_keys=True)
