"""Fast reads of a SQLite file on the thread of the event loop.

Switching to the thread of the driver takes ten times as long as an index look-up. In WAL mode a
reader does not wait for writers. https://www.sqlite.org/wal.html#concurrency
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool


class SqliteReads:
    """A read-only connection that does not wait for locks.

    It holds no transaction between reads, which would prevent checkpoints of the WAL.
    """

    def __init__(self, address: URL) -> None:
        self._engine = create_engine(
            address.set(drivername="sqlite+pysqlite"),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            hide_parameters=True,
            # Reads that must wait for a lock run on another thread.
            connect_args={"timeout": 0},
        )
        event.listen(self._engine, "connect", _forbid_writing)
        self._connection: Connection | None = None

    def read(self, query: Select[Any], values: Mapping[str, Any]) -> Sequence[Row[Any]] | None:
        """Returns the rows; None if it failed and the caller should use a connection that can wait.

        Fetches all rows, which ends the transaction.
        """
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
            return self._connection.execute(query, values).all()
        except DBAPIError:
            self.close()
            return None
        except Exception:
            # A value cannot be converted. The open statement would prevent checkpoints.
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection. The next read opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _forbid_writing(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA query_only = ON").close()
