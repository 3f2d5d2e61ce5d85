"""Writes files of accounts: atomically, and readable by their owner only."""

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

# A spreadsheet runs cells that start like this as formulas. An apostrophe before it makes it text;
# the import removes it. The full-width signs are those of Japanese spreadsheets.
_FORMULA = re.compile(r"'*[=+\-@\uff1d\uff0b\uff0d\uff20]")


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a new file that replaces `path` at the end of the block. Only its owner can read it.

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
    """Returns an encoder of accounts; that of CSV writes the header first."""
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
        self._has_header = False

    def __call__(self, accounts: Iterable[Account]) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if not self._has_header:
            writer.writerow(self._names)
            self._has_header = True
        writer.writerows([_cell(account.get(name)) for name in self._names] for account in accounts)
        return text.getvalue().encode()


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ROLE_SEPARATOR.join(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "" if value is None else str(value)
    return f"'{text}" if _FORMULA.match(text) else text
