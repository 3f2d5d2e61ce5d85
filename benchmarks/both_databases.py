"""Runs a comparison on SQLite and PostgreSQL, each with a small and a large database."""

import asyncio
import logging
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from tests.databases import PostgresqlTemplates, SqliteTemplates, postgresql_folder

# Arguments: name of the database system, URLs of the small and the large database, folder, size
# of the large database.
Compare = Callable[[str, str, str, Path, int], Awaitable[None]]


def on_both_databases(compare: Compare, many: int) -> None:
    """Runs the comparison; the first command-line argument overrides the size."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    count = int(sys.argv[1]) if len(sys.argv) > 1 else many

    async def run(kind: str, few: str, many: str) -> None:
        await compare(kind, few, many, folder, count)

    with tempfile.TemporaryDirectory() as name, postgresql_folder() as socket:
        folder = Path(name)
        sqlite, postgresql = SqliteTemplates(folder), PostgresqlTemplates(socket)
        asyncio.run(run("SQLite", sqlite.new(folder), sqlite.new(folder)))
        few, large = postgresql.new_uncached(), postgresql.new_uncached()
        asyncio.run(run("PostgreSQL", few, large))
