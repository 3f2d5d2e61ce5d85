"""Resets a used PostgreSQL database, which is much faster than creating another one."""

from dataclasses import dataclass
from io import BytesIO

import asyncpg

_SHAPE = """
SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM (
    SELECT concat_ws(' ', relname, relkind, relacl, relrowsecurity, reloptions) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', relname, attname, atttypid, attnotnull, attgenerated,
            pg_get_expr(adbin, adrelid))
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE relnamespace = 'public'::regnamespace AND attnum > 0
    UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT concat_ws(' ', pg_get_triggerdef(oid), tgenabled) FROM pg_trigger
        WHERE NOT tgisinternal
    UNION ALL SELECT concat_ws(' ', conrelid, conname, pg_get_constraintdef(oid))
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', datallowconn, datconnlimit, datacl, setconfig)
        FROM pg_database LEFT JOIN pg_db_role_setting ON setdatabase = pg_database.oid
        WHERE datname = current_database()
) AS lines (line)
"""
_END_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_TABLES = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
)
_SEQUENCES = """
SELECT sequencename, coalesce(last_value, start_value), last_value IS NOT NULL FROM pg_sequences
WHERE schemaname = 'public'
"""
# More dead rows than these would slow down the next test.
_MOST_DEAD_ROWS = 2_000


@dataclass(frozen=True)
class Snapshot:
    """The rows of a database by table, as COPY writes them, and a digest of its schema."""

    shape: str
    tables: list[str]
    # Only of tables that have rows.
    rows: dict[str, bytes]
    # Name, value, and whether that value was used.
    sequences: list[tuple[str, int, bool]]

    @classmethod
    async def of(cls, connection: asyncpg.Connection) -> "Snapshot":
        """Reads a database."""
        tables = [name for (name,) in await connection.fetch(_TABLES)]
        return cls(
            await connection.fetchval(_SHAPE),
            tables,
            {t: await _read(connection, t) for t in tables if await _has_rows(connection, t)},
            [tuple(sequence) for sequence in await connection.fetch(_SEQUENCES)],
        )

    async def restore(self, connection: asyncpg.Connection) -> bool:
        """Resets a database to the snapshot.

        Returns False if the database must be dropped: its schema differs, or it held many rows.
        """
        await connection.fetch(_END_OTHERS)
        if await connection.fetchval(_SHAPE) != self.shape:
            return False
        # Disables triggers and foreign keys.
        await connection.execute("SET session_replication_role = replica; SET lock_timeout = '5s'")
        async with connection.transaction():
            # TRUNCATE takes ten times as long for a few rows.
            deleted = [await connection.execute(f"DELETE FROM {table}") for table in self.tables]
            for table, rows in self.rows.items():
                await connection.copy_to_table(table, source=BytesIO(rows), format="binary")
            for sequence in self.sequences:
                await connection.execute("SELECT setval($1::regclass, $2, $3)", *sequence)
        return sum(int(tag.removeprefix("DELETE ")) for tag in deleted) < _MOST_DEAD_ROWS


async def _has_rows(connection: asyncpg.Connection, table: str) -> bool:
    return bool(await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table})"))


async def _read(connection: asyncpg.Connection, table: str) -> bytes:
    rows = BytesIO()
    await connection.copy_from_table(table, output=rows, format="binary")
    return rows.getvalue()
