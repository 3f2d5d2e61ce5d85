"""Reads of one SQLite file on the thread of the event loop itself.

A hop to the driver's thread and back takes ten times as long as a look at an index, and a reader of
a file in WAL mode waits for no writer. https://www.sqlite.org/wal.html#concurrency
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool


class SqliteReads:
    """A connection of its own, that never writes and never waits.

    Between two reads it is in no transaction: one left open would keep the WAL from being emptied.
    """

    def __init__(self, address: URL) -> None:
        self._engine = create_engine(
            address.set(drivername="sqlite+pysqlite"),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
            # What must be waited for is waited for on another thread.
            connect_args={"timeout": 0},
        )
        event.listen(self._engine, "connect", _forbid_writing)
        self._connection: Connection | None = None

    def read(self, query: Select[Any], values: Mapping[str, Any]) -> Sequence[Row[Any]] | None:
        """The rows; None if a connection that can wait had better be asked, or tell what is wrong.

        All are fetched at once, which is what ends the transaction.
        """
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            return self._connection.execute(query, values).all()
        except DBAPIError:
            self.close()
            return None
        except Exception:
            # A value that cannot be read: the statement would stay open, and with it the WAL.
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection; another read would open the next."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _forbid_writing(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA query_only = ON").close()
