"""`postern user import` and `postern user export`."""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, TextIO

import typer

from auth.permissions import Console
from auth.transfer.import_lines import LineProblem
from auth.transfer.user_export import export_users
from auth.transfer.user_import import ImportCounts, import_users
from auth.wiring import Auth
from server.cli.console import run_as_console
from server.cli.transfer_reading import Format, choose_format, read_lines
from server.cli.transfer_writing import atomic_file, encoder_of
from server.command_failure import CommandFailed

_CLEAR_LINE = "\r\033[K"
_FORMAT_HELP = "The format of the file. Default: the one of its name."


def import_command(
    file: Annotated[Path, typer.Argument(help="A file of JSON lines, or CSV with a header.")],
    form: Annotated[Format | None, typer.Option("--format", help=_FORMAT_HELP)] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report what would be imported, but change nothing.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write the problems to this file instead of stderr.")
    ] = None,
) -> None:
    """Import accounts. If it is interrupted, run it again: it continues."""
    chosen = choose_format(file, form)
    with ExitStack() as stack:
        source = stack.enter_context(_open_source(file))
        problems = _ProblemWriter(stack.enter_context(_open_report(report)) if report else None)
        advance = stack.enter_context(_progress(source))
        lines = read_lines(source, chosen, advance)

        async def work(auth: Auth, console: Console) -> ImportCounts:
            return await import_users(auth, console, lines, report=problems.write, dry_run=dry_run)

        with _reporting_os_errors(file):
            counts = run_as_console(work)
    typer.echo(
        f"{'would import' if dry_run else 'imported'} {counts.imported:,},"
        f" existing {counts.unchanged:,}, refused {counts.rejected:,}"
    )
    if counts.rejected:
        raise typer.Exit(1)


def export_command(
    file: Annotated[Path | None, typer.Argument(help="The file. Default: stdout.")] = None,
    form: Annotated[Format | None, typer.Option("--format", help=_FORMAT_HELP)] = None,
    *,
    with_password_hashes: Annotated[
        bool,
        typer.Option(
            "--with-password-hashes",
            help="Include password hashes. Protect the file like the database.",
        ),
    ] = False,
) -> None:
    """Export all accounts in a format that `postern user import` reads."""
    chosen = choose_format(file, form) if file else form or Format.JSONL

    async def work(auth: Auth, console: Console) -> int:
        encode = encoder_of(chosen, with_password_hashes=with_password_hashes)
        count = 0
        with _open_target(file) as target:
            target.write(encode([]))
            pages = export_users(auth, console, with_password_hashes=with_password_hashes)
            async for page in pages:
                target.write(encode(page))
                count += len(page)
        return count

    with _reporting_os_errors(file or Path("stdout")):
        count = run_as_console(work)
    typer.echo(f"exported {count:,}", err=True)


class _ProblemWriter:
    """Writes the problems of an import, one per line."""

    def __init__(self, report: TextIO | None) -> None:
        self._report = report
        # Removes the progress bar before a line is written.
        self._before = _CLEAR_LINE if sys.stderr.isatty() else ""

    def write(self, problem: LineProblem) -> None:
        """Writes one problem."""
        if self._report:
            self._report.write(f"{problem}\n")
        else:
            typer.echo(f"{self._before}{problem}", err=True)


@contextmanager
def _reporting_os_errors(path: Path) -> Iterator[None]:
    """Turns an OSError of the file into CommandFailed."""
    try:
        yield
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}") from None


@contextmanager
def _open_source(path: Path) -> Iterator[BinaryIO]:
    with _reporting_os_errors(path):
        file = path.open("rb")
    with file:
        yield file


@contextmanager
def _open_report(path: Path) -> Iterator[TextIO]:
    with _reporting_os_errors(path):
        file = path.open("w", encoding="utf-8", buffering=1)
    with file:
        yield file


@contextmanager
def _progress(file: BinaryIO) -> Iterator[Callable[[int], None]]:
    """Shows a progress bar on a terminal, by bytes read. Pipes have no length and get none."""
    status = os.fstat(file.fileno())
    hidden = not sys.stderr.isatty() or not stat.S_ISREG(status.st_mode)
    with typer.progressbar(length=status.st_size, file=sys.stderr, hidden=hidden) as bar:
        yield bar.update


@contextmanager
def _open_target(path: Path | None) -> Iterator[BinaryIO]:
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with atomic_file(path) as file:
        yield file
