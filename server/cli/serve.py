"""`postern serve`.

To save memory, this module does not import what only the other commands need. It parses its options
with argparse; `server/cli/main.py` repeats them for the help of all commands.
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence

import structlog

from auth.clock import Clock
from auth.permissions import PermissionRegistry
from graph.explorer.built_files import is_built
from models.database import DatabaseUnavailable
from server import doctor
from server.app import build_auth
from server.cli.console import read_settings
from server.command_failure import CommandFailed
from server.custom_app import find_factory
from server.environment import find_world_readable_files
from server.listening import listen
from server.logs import configure_logs
from server.settings import ConfigurationError, Settings, Switch
from server.supervisor import Supervisor
from server.worker import new_server, run

log = structlog.get_logger("postern.server")

_FROM_CDN = " (loads GraphiQL from a CDN; run `make explorer` to build Postern's explorer)"

HOST_HELP = "The address to listen on."
PORT_HELP = "The port to listen on."
APP_HELP = "Your own application with Postern in it, as module:function."
WORKERS_HELP = "The number of worker processes."


def main() -> None:
    """Parses the options of `postern serve` and runs it."""
    parser = argparse.ArgumentParser(
        "postern serve", description="Start the server.", allow_abbrev=False
    )
    parser.add_argument("--app", metavar="MODULE:FUNCTION", help=APP_HELP)
    parser.add_argument("--host", help=HOST_HELP)
    parser.add_argument("--port", type=int, help=PORT_HELP)
    parser.add_argument("--workers", type=int, default=1, help=f"{WORKERS_HELP} Default: 1.")
    options = parser.parse_args(sys.argv[2:])
    if options.workers < 1:
        parser.error("argument --workers: must be at least 1")
    run_command_line(lambda: serve(options.host, options.port, options.workers, app=options.app))


def run_command_line(app: Callable[[], object]) -> None:
    """Runs a command. Prints errors without a traceback, and exits with their status."""
    try:
        app()
    except CommandFailed as failure:
        _fail(failure.lines)
    except ConfigurationError as error:
        _fail(error.problems)
    except DatabaseUnavailable as error:
        _fail([doctor.unreachable(error)])
    except KeyboardInterrupt:
        # The status that shells report for a process that was ended by a signal.
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        # The reader has closed the pipe. Without this, Python would flush to it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def serve(host: str | None, port: int | None, workers: int, *, app: str | None = None) -> None:
    """Starts the server. Raises CommandFailed, ConfigurationError, DatabaseUnavailable."""
    # Set in the environment, because the worker processes read it too.
    given = {"POSTERN_APP": app, "POSTERN_HOST": host, "POSTERN_PORT": port}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    settings = read_settings()
    if settings.app:
        find_factory(settings.app)
    configure_logs(readable=settings.in_development)
    if settings.in_development:
        asyncio.run(migrate_database(settings))
    problems = asyncio.run(doctor.diagnose(settings))
    if problems:
        raise CommandFailed(*problems)
    sockets = listen(settings.host, settings.port)
    for name in find_world_readable_files():
        log.warning("settings.file_world_readable", setting=name, advice="chmod o-r")
    if settings.in_development:
        _print_urls(settings)
    run_server(settings, sockets, workers)


def run_server(settings: Settings, sockets: Sequence[socket.socket], workers: int) -> None:
    """Runs the server until a signal ends it. Exits with a status other than 0 after a failure."""
    if workers > 1:
        supervisor = Supervisor(sockets, workers=workers, shutdown_delay=settings.shutdown_delay)
        sys.exit(supervisor.run())
    run(new_server(), sockets)


def _print_urls(settings: Settings) -> None:
    hint = "" if is_built() else _FROM_CDN
    if settings.trusted_documents_only is Switch.ON:
        hint = " (off: only trusted documents run)"
    sys.stdout.write(f"Postern runs at {settings.base_url}\n")
    sys.stdout.write(f"  explorer {settings.base_url}/graphql{hint}\n")
    sys.stdout.flush()


async def migrate_database(settings: Settings) -> None:
    """Migrates the database. Raises ConfigurationError, DatabaseUnavailable."""
    from models.migrate import upgrade  # noqa: PLC0415 - Alembic is large, and `serve` needs none

    doctor.check(settings)
    auth = build_auth(settings, PermissionRegistry(), Clock(), patient=True)
    try:
        await upgrade(auth.db)
    finally:
        await auth.stop()


def _fail(lines: tuple[str, ...] | list[str]) -> None:
    for line in lines:
        sys.stderr.write(f"postern: {line}\n")
    sys.exit(1)
