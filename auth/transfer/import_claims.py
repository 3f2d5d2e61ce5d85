"""Which names the earlier lines of a file have, in a temporary file: memory stays as it is."""

import errno
import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from auth.transfer.import_lines import Incoming

_CACHE_KIB = 16 * 1024


@dataclass(frozen=True, slots=True)
class Claim:
    """A line of the file, and what it has of a later one."""

    line: int
    field: str


class Attempt:
    """What earlier lines have of a batch, and what the batch itself claims."""

    def __init__(self, claimed: dict[str, int]) -> None:
        self._claimed = claimed
        self.new: dict[str, int] = {}

    def find(self, incoming: Incoming) -> Claim | None:
        """The earlier line that has something which only one account can have."""
        for key, field in _keys(incoming).items():
            line = self._claimed.get(key) or self.new.get(key)
            if line is not None:
                return Claim(line, field)
        return None

    def claim(self, incoming: Incoming) -> None:
        """Takes the names of a line that nobody has claimed."""
        self.new.update(dict.fromkeys(_keys(incoming), incoming.line))


class Claims:
    """The usernames, addresses and ids of the lines so far that were not refused."""

    def __init__(self) -> None:
        # An empty name is SQLite's for a temporary file, which nobody else can open.
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("CREATE TABLE claims (key PRIMARY KEY, line NOT NULL) WITHOUT ROWID")

    def close(self) -> None:
        """Forgets everything."""
        self._db.close()

    @contextmanager
    def attempt(self, some: Iterable[Incoming]) -> Iterator[Attempt]:
        """Keeps what these lines claim, unless it ends with an exception.

        Raises OSError where there is no room for the temporary file.
        """
        keys = [key for incoming in some for key in _keys(incoming)]
        with _told():
            rows = self._db.execute(_FIND, (json.dumps(keys),)).fetchall()
        attempt = Attempt(dict(rows))
        yield attempt
        with _told():
            self._db.execute("BEGIN")
            # In the order of the table, whose pages are then touched one after the other.
            self._db.executemany("INSERT INTO claims VALUES (?, ?)", sorted(attempt.new.items()))
            self._db.execute("COMMIT")


_FIND = "SELECT key, line FROM claims WHERE key IN (SELECT value FROM json_each(?))"


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(errno.EIO, f"the names seen so far cannot be kept: {error}") from error


def _keys(incoming: Incoming) -> dict[str, str]:
    keys = {"u" + incoming.username_key: "username"}
    if incoming.email_key is not None:
        keys["e" + incoming.email_key] = "email"
    if incoming.keeps_id:
        keys["i" + incoming.id.hex] = "id"
    return keys
