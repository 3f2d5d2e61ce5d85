"""Columns as the driver gives them, for rows that are read by the hundred.

To make values of what nobody may look at costs more than to fetch it.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal_column, type_coerce
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import NullType


def as_stored(column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """The column without any conversion of its values."""
    return type_coerce(column, NullType()).label(column.key)


def joined(column: ColumnElement[str] | InstrumentedAttribute[str]) -> ColumnElement[str]:
    """The texts of many rows as one, with commas between them."""
    # A comma of Python's would be put into the statement anew at each run.
    comma: Any = literal_column("','")
    return func.aggregate_strings(column, comma)


def read_uuid(stored: Any) -> UUID:
    """The value of a column of UUIDs, that SQLite holds as text."""
    return stored if isinstance(stored, UUID) else UUID(stored)


def read_instant(stored: Any) -> datetime:
    """The value of a `UtcDateTime`, that SQLite holds as the text of its UTC wall time."""
    if isinstance(stored, datetime):
        return stored.astimezone(UTC)
    return datetime.fromisoformat(stored).replace(tzinfo=UTC)
