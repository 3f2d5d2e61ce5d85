"""Connections to a SQLite file."""

import sqlite3
from pathlib import Path

from models.sqlite_engine import RollingBackConnection


def test_connection_can_be_closed_twice(tmp_path: Path) -> None:
    """As when a clean-up was cut short and is repeated."""
    connection = sqlite3.connect(tmp_path / "x.db", factory=RollingBackConnection)
    connection.execute("BEGIN IMMEDIATE")
    connection.close()
    connection.close()
    with sqlite3.connect(tmp_path / "x.db", timeout=0) as other:
        other.execute("BEGIN IMMEDIATE")
    other.close()
