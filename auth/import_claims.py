"""Which names the earlier lines of a file have, in a temporary file: memory stays as it is."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from auth.import_lines import Incoming

_CACHE_KIB = 16 * 1024


@dataclass(frozen=True, slots=True)
class Claim:
    """A line of the file, and what it has of a later one."""

    line: int
    field: str


class Claims:
    """The usernames, addresses and ids of the lines so far that were not refused."""

    def __init__(self) -> None:
        # An empty name is SQLite's for a temporary file, which nobody else can open.
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.execute("PRAGMA journal_mode = MEMORY")
        self._db.execute("CREATE TABLE claims (key PRIMARY KEY, line NOT NULL) WITHOUT ROWID")

    def close(self) -> None:
        """Forgets everything."""
        self._db.close()

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Forgets what was claimed within, if that ends with an exception.

        Raises OSError where there is no room for the temporary file.
        """
        try:
            self._db.execute("BEGIN")
            yield
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise OSError(errno.EIO, f"the names seen so far cannot be kept: {error}") from error
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def find(self, incoming: Incoming) -> Claim | None:
        """The earlier line that has something which only one account can have."""
        keys = _keys(incoming)
        marks = ",".join("?" * len(keys))
        rows = self._db.execute(
            f"SELECT line, key FROM claims WHERE key IN ({marks}) ORDER BY line LIMIT 1",  # noqa: S608 - question marks
            list(keys),
        )
        row = rows.fetchone()
        return Claim(row[0], keys[row[1]]) if row else None

    def claim(self, incoming: Incoming) -> None:
        """Takes the names of a line that nobody has claimed."""
        rows = [(key, incoming.line) for key in _keys(incoming)]
        self._db.executemany("INSERT INTO claims VALUES (?, ?)", rows)


def _keys(incoming: Incoming) -> dict[str, str]:
    keys = {"u" + incoming.username_key: "username"}
    if incoming.email_key is not None:
        keys["e" + incoming.email_key] = "email"
    if incoming.keeps_id:
        keys["i" + incoming.id.hex] = "id"
    return keys
