"""Whether the database takes what is written to it."""

from datetime import UTC, datetime

from sqlalchemy import delete, text

from models.audit_event import AuditEvent
from models.base import uuid7
from models.database import Database, DatabaseUnavailable

# More than one page of any database: what is left of a page is no room.
_FILLER_BYTES = 100_000


async def check_writable(db: Database) -> None:
    """Writes some rows and deletes them. Raises DatabaseUnavailable if it is read-only or full."""
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


async def check_accepts_writes(db: Database) -> None:
    """The same as far as it is known without writing. Raises DatabaseUnavailable."""
    if db.dialect != "postgresql":
        return
    async with db.read() as session:
        if await session.scalar(_READ_ONLY):
            raise DatabaseUnavailable("ReadOnlySQLTransactionError")


_READ_ONLY = text(
    "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'"
)
