"""Files of accounts, read line by line: JSON lines, or CSV.

A CSV record is one line here: no value that an account may have holds a line break, and so a
quotation mark that is never closed costs one line and not the rest of the file.
"""

import csv
import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

import orjson

from auth.transfer.import_lines import Line, problem_of_field
from server.command_failure import CommandFailed

LINE_MAX_BYTES = 64 * 1024

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_TRUTHS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_FLAG_COLUMNS = frozenset({"email_verified", "disabled", "password_is_temporary"})
_UNDONE_FORMULA = re.compile(r"'+[=+\-@\uff1d\uff0b\uff0d\uff20]")
ROLE_SEPARATOR = ";"


class Format(StrEnum):
    """How a file of accounts is written."""

    JSONL = "jsonl"
    CSV = "csv"


def format_of(path: Path, given: Format | None) -> Format:
    """The format that was asked for, or else that of the file's name. Raises CommandFailed."""
    by_name = {".csv": Format.CSV, ".jsonl": Format.JSONL, ".ndjson": Format.JSONL}
    found = given or by_name.get(path.suffix.lower())
    if found is None:
        raise CommandFailed(f"{path}: say --format jsonl or --format csv, or name the file so")
    return found


def read_lines(file: BinaryIO, form: Format, advance: Callable[[int], object]) -> Iterator[Line]:
    """The lines of a file, blank ones left out; `advance` is told of each how many bytes it has.

    Raises CommandFailed for a file that is empty, or whose header cannot be used.
    """
    raw = _raw_lines(file, advance)
    first = next(raw, None)
    if first is None:
        raise CommandFailed("the file is empty")
    if first[1] is not None and first[1].startswith(_UTF16_MARKS):
        raise CommandFailed("line 1: the file is UTF-16; save it as UTF-8")
    if form is Format.JSONL:
        yield _json_line(*first)
        yield from (_json_line(*line) for line in raw)
        return
    columns = _columns(*first)
    yield from (_csv_line(*line, columns) for line in raw)


def _raw_lines(
    file: BinaryIO, advance: Callable[[int], object]
) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines without their ends; None for one that is too long to be looked at."""
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


def _json_line(number: int, raw: bytes | None) -> Line:
    if raw is None:
        return _too_long(number)
    try:
        return Line(number, orjson.loads(raw))
    except orjson.JSONDecodeError as error:
        return Line(number, None, _problem_of_json(raw, error))


def _problem_of_json(raw: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return "is not UTF-8"
    return f"is not valid JSON, from column {error.colno}; each line holds one object"


def _columns(number: int, raw: bytes | None) -> list[str]:
    cells = _cells(raw)
    if isinstance(cells, str):
        raise CommandFailed(f"line {number}: the header {cells}")
    names = [cell.strip() for cell in cells]
    problems = [f"line {number}: {p}" for p in map(problem_of_field, names) if p]
    if len({*names}) != len(names):
        problems.append(f"line {number}: a column occurs twice")
    if "username" not in names:
        problems.append(
            f"line {number}: the header names no column username; commas stand between columns"
        )
    if problems:
        raise CommandFailed(*dict.fromkeys(problems))
    return names


def _csv_line(number: int, raw: bytes | None, columns: list[str]) -> Line:
    cells = _cells(raw)
    if isinstance(cells, str):
        return Line(number, None, cells)
    if len(cells) != len(columns):
        return Line(number, None, f"has {len(cells)} columns, and the header has {len(columns)}")
    return Line(
        number, {name: _value(name, cell) for name, cell in zip(columns, cells, strict=True)}
    )


def _cells(raw: bytes | None) -> list[str] | str:
    """The cells of a line, or what is wrong with it."""
    if raw is None:
        return _too_long(0).problem or ""
    try:
        return next(csv.reader([raw.decode()], strict=True))
    except UnicodeDecodeError:
        return "is not UTF-8"
    except (csv.Error, StopIteration):
        return "is not valid CSV: look for a quotation mark that is not closed, or not doubled"


def _value(column: str, cell: str) -> object:
    if column == "roles":
        # The column is there, so an empty cell says that there are none.
        return [name.strip() for name in cell.split(ROLE_SEPARATOR) if name.strip()]
    if column in _FLAG_COLUMNS and cell:
        return _TRUTHS.get(cell.lower(), cell)
    if _UNDONE_FORMULA.match(cell):
        return cell[1:]
    return cell or None


def _too_long(number: int) -> Line:
    return Line(number, None, f"has more than {LINE_MAX_BYTES // 1024} KiB")
