"""Reads files of accounts line by line, as JSON lines or CSV.

A CSV record is always one line, because no field of an account can contain a line break. So an
unclosed quotation mark makes one line invalid, not the rest of the file.
"""

import csv
import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import orjson

from auth.transfer.import_lines import ImportLine, find_field_problem
from server.command_failure import CommandFailed

LINE_MAX_BYTES = 64 * 1024

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_BOOLEANS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_BOOLEAN_COLUMNS = frozenset({"email_verified", "disabled", "password_is_temporary"})
_ESCAPED_FORMULA = re.compile(r"'+[=+\-@\uff1d\uff0b\uff0d\uff20]")
ROLE_SEPARATOR = ";"


class Format(StrEnum):
    """The format of a file of accounts."""

    JSONL = "jsonl"
    CSV = "csv"


def choose_format(path: Path, given: Format | None) -> Format:
    """Returns the given format, or else that of the file's name. Raises CommandFailed."""
    by_name = {".csv": Format.CSV, ".jsonl": Format.JSONL, ".ndjson": Format.JSONL}
    found = given or by_name.get(path.suffix.lower())
    if found is None:
        raise CommandFailed(
            f"{path}: the format is unknown. Add --format jsonl or --format csv, or rename the file"
            " to .jsonl or .csv."
        )
    return found


def read_lines(
    file: BinaryIO, form: Format, advance: Callable[[int], object]
) -> Iterator[ImportLine]:
    """Yields the lines of a file, without blank ones; calls `advance` with the bytes of each line.

    Raises CommandFailed if the file is empty or its header is invalid.
    """
    raw = _raw_lines(file, advance)
    first = next(raw, None)
    if first is None:
        raise CommandFailed("The file is empty.")
    if first[1] is not None and first[1].startswith(_UTF16_MARKS):
        raise CommandFailed("line 1: the file is UTF-16. Save it as UTF-8.")
    if form is Format.JSONL:
        yield _json_line(*first)
        yield from (_json_line(*line) for line in raw)
        return
    columns = _columns(*first)
    yield from (_csv_line(*line, columns) for line in raw)


def _raw_lines(
    file: BinaryIO, advance: Callable[[int], object]
) -> Iterator[tuple[int, bytes | None]]:
    """Yields numbered lines without line ends; None for a line that is too long."""
    number = 0
    while chunk := file.readline(LINE_MAX_BYTES):
        number += 1
        advance(len(chunk))
        line: bytes | None = chunk.rstrip(b"\r\n")
        if not chunk.endswith(b"\n") and len(chunk) == LINE_MAX_BYTES:
            line = None
            _skip_line(file, advance)
        if number == 1 and line is not None:
            line = line.removeprefix(_UTF8_MARK)
        if line is None or line.strip():
            yield number, line


def _skip_line(file: BinaryIO, advance: Callable[[int], object]) -> None:
    while chunk := file.readline(LINE_MAX_BYTES):
        advance(len(chunk))
        if chunk.endswith(b"\n"):
            return


def _json_line(number: int, raw: bytes | None) -> ImportLine:
    if raw is None:
        return _too_long(number)
    try:
        return ImportLine(number, orjson.loads(raw))
    except orjson.JSONDecodeError as error:
        return ImportLine(number, None, _problem_of_json(raw, error))


def _problem_of_json(raw: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return "is not UTF-8"
    return f"is not valid JSON at column {error.colno}; each line must be one object"


def _columns(number: int, raw: bytes | None) -> list[str]:
    cells = _cells(raw)
    if isinstance(cells, str):
        raise CommandFailed(f"line {number}: the header {cells}")
    names = [cell.strip() for cell in cells]
    problems = [f"line {number}: {p}" for p in map(find_field_problem, names) if p]
    if len({*names}) != len(names):
        problems.append(f"line {number}: a column occurs twice")
    if "username" not in names:
        problems.append(
            f"line {number}: the header has no column username; columns are separated by commas"
        )
    if problems:
        raise CommandFailed(*dict.fromkeys(problems))
    return names


def _csv_line(number: int, raw: bytes | None, columns: list[str]) -> ImportLine:
    cells = _cells(raw)
    if isinstance(cells, str):
        return ImportLine(number, None, cells)
    if len(cells) != len(columns):
        return ImportLine(
            number, None, f"has {len(cells)} columns, but the header has {len(columns)}"
        )
    return ImportLine(
        number, {name: _value(name, cell) for name, cell in zip(columns, cells, strict=True)}
    )


def _cells(raw: bytes | None) -> list[str] | str:
    """Returns the cells of a line, or the problem of an invalid one."""
    if raw is None:
        return _too_long(0).problem or ""
    try:
        return next(csv.reader([raw.decode()], strict=True))
    except UnicodeDecodeError:
        return "is not UTF-8"
    except (csv.Error, StopIteration):
        return "is not valid CSV; check for a quotation mark that is not closed or not doubled"


def _value(column: str, cell: str) -> object:
    if column == "roles":
        # An empty cell means no roles; a missing column means the default roles.
        return [name.strip() for name in cell.split(ROLE_SEPARATOR) if name.strip()]
    if column in _BOOLEAN_COLUMNS and cell:
        return _BOOLEANS.get(cell.lower(), cell)
    if _ESCAPED_FORMULA.match(cell):
        return cell[1:]
    return cell or None


def _too_long(number: int) -> ImportLine:
    return ImportLine(number, None, f"is longer than {LINE_MAX_BYTES // 1024} KiB")
