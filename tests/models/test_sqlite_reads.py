"""Fast reads of a SQLite file."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import make_url, select, text

from models.sqlite_reads import SqliteReads
from models.user import User

QUERY = select(User.username).where(User.username == "alice")


@pytest.fixture
def reads(sqlite_url: str) -> Iterator[SqliteReads]:
    with closing(SqliteReads(make_url(sqlite_url))) as reads:
        yield reads


def test_read_returns_rows(reads: SqliteReads) -> None:
    assert reads.read(QUERY, {}) == [("alice",)]


def test_connection_is_read_only(reads: SqliteReads) -> None:
    assert reads.read(text("DELETE FROM user_roles"), {}) is None  # type: ignore[arg-type] # plain SQL


def test_read_of_locked_file_returns_none_at_once(reads: SqliteReads, sqlite_url: str) -> None:
    path = make_url(sqlite_url).database
    assert path
    with closing(sqlite3.connect(path, isolation_level=None)) as owner:
        owner.execute("PRAGMA locking_mode = EXCLUSIVE")
        owner.execute("UPDATE users SET version = version + 1")
        assert reads.read(QUERY, {}) is None
    assert reads.read(QUERY, {}) == [("alice",)]


def test_failed_read_returns_none_and_the_next_one_works(reads: SqliteReads) -> None:
    assert reads.read(select(text("nonsense")), {}) is None
    assert reads.read(QUERY, {}) == [("alice",)]
