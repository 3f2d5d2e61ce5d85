"""The usernames, emails and IDs of the earlier lines of an import, in a temporary file."""

import errno
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from auth.transfer.import_lines import ImportedUser

_CACHE_KIB = 16 * 1024


@dataclass(frozen=True, slots=True)
class Claim:
    """An earlier line, and the field that it has in common with a later line."""

    line: int
    field: str


class BatchClaims:
    """The names of a batch that earlier lines claim, and those that the batch claims."""

    def __init__(self, claimed: dict[str, int]) -> None:
        self._claimed = claimed
        self.new: dict[str, int] = {}

    def find(self, user: ImportedUser) -> Claim | None:
        """Returns the earlier line with the same username, email or ID."""
        for key, field in _keys(user).items():
            line = self._claimed.get(key) or self.new.get(key)
            if line is not None:
                return Claim(line, field)
        return None

    def claim(self, user: ImportedUser) -> None:
        """Claims the names of a line."""
        self.new.update(dict.fromkeys(_keys(user), user.line))


class ClaimedNames:
    """The names of earlier lines that were not rejected."""

    def __init__(self, db: sqlite3.Connection | None = None) -> None:
        # An empty name makes SQLite use a temporary file. The memory of an import is bounded.
        self._db = db or sqlite3.connect("", isolation_level=None)
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("CREATE TABLE claims (key PRIMARY KEY, line NOT NULL) WITHOUT ROWID")

    def close(self) -> None:
        """Deletes the temporary file."""
        self._db.close()

    @contextmanager
    def batch(self, users: Iterable[ImportedUser]) -> Iterator[BatchClaims]:
        """Stores the claims of a batch, unless the block raises.

        Raises OSError if the temporary file cannot be written.
        """
        keys = [key for user in users for key in _keys(user)]
        with _raising_os_error():
            rows = self._db.execute(_FIND, (json.dumps(keys),)).fetchall()
        claims = BatchClaims(dict(rows))
        yield claims
        with _raising_os_error():
            self._db.execute("BEGIN")
            # Sorted like the table, so that its pages are written in order.
            self._db.executemany("INSERT INTO claims VALUES (?, ?)", sorted(claims.new.items()))
            self._db.execute("COMMIT")


_FIND = "SELECT key, line FROM claims WHERE key IN (SELECT value FROM json_each(?))"


@contextmanager
def _raising_os_error() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(
            errno.EIO, f"the temporary file of the import cannot be written: {error}"
        ) from error


def _keys(user: ImportedUser) -> dict[str, str]:
    keys = {"u" + user.username_key: "username"}
    if user.email_key is not None:
        keys["e" + user.email_key] = "email"
    if user.keeps_id:
        keys["i" + user.id.hex] = "id"
    return keys
