"""The declarative base, column types and IDs of all tables."""

import secrets
import threading
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import DateTime, Dialect, MetaData, String, TypeDecorator
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    """The declarative base. It gives every constraint a name, which migrations need."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC on every database. Raises ValueError for a naive one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Converts a value for the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("datetime must have a time zone")
        utc = value.astimezone(UTC)
        # SQLite has no time zones and stores UTC.
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Converts a value from the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def key_text(length: int) -> String:
    """Returns a column type for normalised text that is compared and searched by prefix.

    It compares by code point on every database. With the collation of a locale, PostgreSQL could
    not use an index for a prefix, and SQLite and PostgreSQL would differ.
    """
    return String(length).with_variant(String(length, collation="C"), "postgresql")


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_uuid7_lock = threading.Lock()
_uuid7_last = 0


def uuid7() -> UUID:
    """Returns a UUIDv7 (RFC 9562, section 5.7), strictly increasing within the process.

    It has 48 bits of Unix milliseconds, 12 bits of sub-millisecond time (section 6.2, method 3) and
    62 random bits.
    """
    global _uuid7_last  # noqa: PLW0603 - the last value keeps the sequence increasing
    nanoseconds = time.time_ns()
    ticks = ((nanoseconds // 1_000_000) << 12) | ((nanoseconds % 1_000_000) * 4096 // 1_000_000)
    with _uuid7_lock:
        ticks = _uuid7_last = max(ticks, _uuid7_last + 1)
    return _uuid7(ticks)


def uuid7_at(instant: datetime) -> UUID:
    """Returns a UUIDv7 that sorts as if it had been created at a past time, after 1970."""
    microseconds = max((instant - _EPOCH) // timedelta(microseconds=1), 0)
    return _uuid7((microseconds // 1000) << 12 | (microseconds % 1000) * 4096 // 1000)


def _uuid7(ticks: int) -> UUID:
    high = (ticks >> 12) << 16 | 0x7000 | ticks & 0xFFF
    return UUID(int=(high << 64) | (0b10 << 62) | secrets.randbits(62))
