"""Columns without type conversion, for queries that read many rows.

Converting values that may not be used takes longer than fetching them.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal_column, type_coerce
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import NullType


def as_stored(column: InstrumentedAttribute[Any]) -> ColumnElement[Any]:
    """Returns a column whose values are not converted."""
    return type_coerce(column, NullType()).label(column.key)


def joined(column: ColumnElement[str] | InstrumentedAttribute[str]) -> ColumnElement[str]:
    """Returns an aggregate that joins the texts of rows with commas."""
    # A literal, since a bound parameter would be processed at each execution.
    comma: Any = literal_column("','")
    return func.aggregate_strings(column, comma)


def read_uuid(stored: Any) -> UUID:
    """Converts the value of a UUID column, which is text on SQLite."""
    return stored if isinstance(stored, UUID) else UUID(stored)


def read_instant(stored: Any) -> datetime:
    """Converts the value of a `UtcDateTime` column, which is text in UTC on SQLite."""
    if isinstance(stored, datetime):
        return stored.astimezone(UTC)
    return datetime.fromisoformat(stored).replace(tzinfo=UTC)
