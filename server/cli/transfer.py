"""`postern user import` and `postern user export`: accounts come and go by the thousand."""

import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, TextIO

import typer

from auth.permissions import Console
from auth.transfer.import_lines import Problem
from auth.transfer.user_export import export_users
from auth.transfer.user_import import ImportCounts, import_users
from auth.wiring import Auth
from server.cli.console import run_as_console
from server.cli.transfer_reading import Format, format_of, read_lines
from server.cli.transfer_writing import encoder_of, whole_file
from server.command_failure import CommandFailed

_CLEAR_LINE = "\r\033[K"


def import_command(
    file: Annotated[Path, typer.Argument(help="JSON lines, or CSV with a header.")],
    form: Annotated[
        Format | None, typer.Option("--format", help="Instead of what the file's name says.")
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Report what would happen, and write nothing.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(help="Where to write the problems, instead of to stderr.")
    ] = None,
) -> None:
    """Imports accounts; run it again after an interruption, and it goes on."""
    chosen = format_of(file, form)
    with ExitStack() as stack:
        source = stack.enter_context(_opened(file))
        problems = _Problems(stack.enter_context(_written(report)) if report else None)
        advance = stack.enter_context(_progress(source))
        lines = read_lines(source, chosen, advance)

        async def work(auth: Auth, console: Console) -> ImportCounts:
            return await import_users(auth, console, lines, tell=problems.tell, dry_run=dry_run)

        with _told(file):
            counts = run_as_console(work)
    typer.echo(
        f"{'would import' if dry_run else 'imported'} {counts.imported:,},"
        f" already there {counts.already_there:,}, refused {counts.refused:,}"
    )
    if counts.refused:
        raise typer.Exit(1)


def export_command(
    file: Annotated[Path | None, typer.Argument(help="Where to; stdout if left out.")] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="Instead of what the file's name says.")
    ] = None,
    *,
    with_password_hashes: Annotated[
        bool, typer.Option("--with-password-hashes", help="Guard the file as you do the database.")
    ] = False,
) -> None:
    """Exports all accounts, in a form that `postern user import` takes back."""
    chosen = format_of(file, form) if file else form or Format.JSONL

    async def work(auth: Auth, console: Console) -> int:
        encode = encoder_of(chosen, with_password_hashes=with_password_hashes)
        count = 0
        with _target(file) as target:
            target.write(encode([]))
            pages = export_users(auth, console, with_password_hashes=with_password_hashes)
            async for page in pages:
                target.write(encode(page))
                count += len(page)
        return count

    with _told(file or Path("stdout")):
        count = run_as_console(work)
    typer.echo(f"exported {count:,}", err=True)


class _Problems:
    """Where the problems go, one a line."""

    def __init__(self, report: TextIO | None) -> None:
        self._report = report
        # The progress bar stands there.
        self._before = _CLEAR_LINE if sys.stderr.isatty() else ""

    def tell(self, problem: Problem) -> None:
        """Writes a problem down."""
        if self._report:
            self._report.write(f"{problem}\n")
        else:
            typer.echo(f"{self._before}{problem}", err=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Says of a file in words that it cannot be read or written."""
    try:
        yield
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}") from None


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with _told(path):
        file = path.open("rb")
    with file:
        yield file


@contextmanager
def _written(path: Path) -> Iterator[TextIO]:
    with _told(path):
        file = path.open("w", encoding="utf-8", buffering=1)
    with file:
        yield file


@contextmanager
def _progress(file: BinaryIO) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, by bytes read; a pipe has no length, and gets none."""
    status = os.fstat(file.fileno())
    hidden = not sys.stderr.isatty() or not stat.S_ISREG(status.st_mode)
    with typer.progressbar(length=status.st_size, file=sys.stderr, hidden=hidden) as bar:
        yield bar.update


@contextmanager
def _target(path: Path | None) -> Iterator[BinaryIO]:
    if path is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with whole_file(path) as file:
        yield file
