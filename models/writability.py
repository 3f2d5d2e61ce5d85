"""Checks whether the database accepts writes."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import delete, text

from models.audit_event import AuditEvent
from models.base import uuid7
from models.database import Database, DatabaseUnavailable

# More than a page, since a page may have free space on a full disk.
_FILLER_BYTES = 100_000
# How long `/readyz` caches that SQLite accepts writes.
_SUCCESS_COUNTS_SECONDS = 30


async def check_writable(db: Database) -> None:
    """Writes a row and deletes it. Raises DatabaseUnavailable if that fails."""
    now = datetime.now(UTC)
    async with db.begin() as tx:
        event = AuditEvent(
            id=uuid7(),
            at=now,
            action="doctor",
            succeeded=True,
            details={"filler": "x" * _FILLER_BYTES},
        )
        tx.add(event)
        await tx.flush()
        await tx.execute(delete(AuditEvent).where(AuditEvent.id == event.id))


class WriteProbe:
    """Checks for `/readyz`, which is public, whether the database accepts writes.

    PostgreSQL reports it. SQLite needs a write: a success is cached, and after a failure each check
    tries again, one at a time.
    """

    def __init__(self, db: Database, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._db = db
        self._monotonic = monotonic
        self._next_write_at = monotonic()
        self._is_writing = False
        self._cause: str | None = None

    async def check(self) -> None:
        """Raises DatabaseUnavailable if the database is read-only, full or locked."""
        if self._db.dialect == "postgresql":
            await self._ask_postgresql()
            return
        if not self._is_writing and self._monotonic() >= self._next_write_at:
            await self._write()
        if self._cause is not None:
            raise DatabaseUnavailable(self._cause)

    async def _ask_postgresql(self) -> None:
        async with self._db.read() as session:
            if await session.scalar(_READ_ONLY):
                raise DatabaseUnavailable("ReadOnlySQLTransactionError")

    async def _write(self) -> None:
        self._is_writing = True
        try:
            await check_writable(self._db)
        except DatabaseUnavailable as failure:
            self._cause = str(failure)
        else:
            self._cause = None
            self._next_write_at = self._monotonic() + _SUCCESS_COUNTS_SECONDS
        finally:
            self._is_writing = False


_READ_ONLY = text(
    "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'"
)
