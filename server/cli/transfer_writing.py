"""Files of accounts, written whole or not at all, and for their owner's eyes only."""

import csv
import io
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import orjson

from auth.transfer.import_lines import FIELDS
from server.cli.transfer_reading import ROLE_SEPARATOR, Format

Account = Mapping[str, object]

# A spreadsheet runs a cell that begins so; an apostrophe before it makes it text, and is taken
# away again by an import. The full-width signs count in Japanese editions.
_FORMULA = re.compile(r"'*[=+\-@\uff1d\uff0b\uff0d\uff20]")


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name when all is written, readable by its owner only.

    Raises OSError.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


def encoder_of(form: Format, *, with_password_hashes: bool) -> Callable[[Iterable[Account]], bytes]:
    """What turns accounts into the bytes of a file; a CSV file begins with its header."""
    if form is Format.JSONL:
        return _encode_json
    names = [name for name in FIELDS if with_password_hashes or name != "password_hash"]
    return _CsvEncoder(names)


def _encode_json(accounts: Iterable[Account]) -> bytes:
    return b"".join(
        orjson.dumps(
            {name: account[name] for name in FIELDS if account.get(name) is not None},
            option=orjson.OPT_APPEND_NEWLINE,
        )
        for account in accounts
    )


class _CsvEncoder:
    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._begun = False

    def __call__(self, accounts: Iterable[Account]) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self._begun:
            writer.writerow(self._names)
            self._begun = True
        writer.writerows([_cell(account.get(name)) for name in self._names] for account in accounts)
        return text.getvalue().encode()


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ROLE_SEPARATOR.join(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "" if value is None else str(value)
    return f"'{text}" if _FORMULA.match(text) else text
