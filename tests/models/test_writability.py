"""Checks for databases that are read-only or full."""

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event, func, select

from models.audit_event import AuditEvent
from models.database import Database, DatabaseUnavailable
from models.writability import WriteProbe, check_writable
from tests.accounts import ALICE
from tests.api import LOGIN, denials, logged_outages, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.models.test_postgresql_engine import set_default
from tests.server.test_doctor import diagnosis

LOG_ALICE_IN = {"input": {"username": ALICE.username, "password": ALICE.password}}


@contextmanager
def full_disk() -> Iterator[None]:
    """Limits files to half of the size that the check writes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_check_writable_leaves_no_rows(database_url: str) -> None:
    db = Database.connect(database_url)
    await check_writable(db)
    async with db.read() as session:
        assert await session.scalar(select(func.count()).select_from(AuditEvent)) == 0
    await db.close()


async def test_doctor_reports_a_read_only_database(postgresql_url: str) -> None:
    assert await diagnosis(postgresql_url) == ""
    await set_default(postgresql_url, "default_transaction_read_only", "on")
    assert "The database is read-only" in await diagnosis(postgresql_url)


async def test_doctor_reports_a_full_disk(sqlite_url: str) -> None:
    assert await diagnosis(sqlite_url) == ""
    with full_disk():
        report = await diagnosis(sqlite_url)
    assert "SQLITE_FULL" in report or "SQLITE_IOERR" in report


async def test_check_writable_names_cause_of_read_only_database(postgresql_url: str) -> None:
    await set_default(postgresql_url, "default_transaction_read_only", "on")
    db = Database.connect(postgresql_url)
    with pytest.raises(DatabaseUnavailable, match="ReadOnlySQLTransactionError"):
        await check_writable(db)
    await db.close()


async def test_read_only_database_is_not_ready_and_its_cause_is_logged(
    postgresql_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    settings = make_settings(postgresql_url, tmp_path)
    async with serving(settings, clock):
        pass
    await set_default(postgresql_url, "default_transaction_read_only", "on")
    # A second process, whose connections have the new default.
    async with serving(settings, clock) as api:
        with logged_outages() as causes:
            reply = await api.post(LOGIN, LOG_ALICE_IN)
        assert (await api.http.get("/readyz")).status_code == 503
    assert denials(reply.json())[0]["code"] == "SERVICE_UNAVAILABLE"
    assert set(causes) == {"ReadOnlySQLTransactionError"}


async def test_server_on_a_full_disk_is_not_ready_until_there_is_room(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    async with serving(make_settings(sqlite_url, tmp_path), clock) as api:
        with full_disk(), logged_outages() as causes:
            assert (await api.http.get("/readyz")).status_code == 503
            assert (await api.http.get("/healthz")).status_code == 200
        assert (await api.http.get("/readyz")).status_code == 200
    assert len(causes) == 1


async def test_write_probe_finds_a_full_disk_within_half_a_minute(sqlite_url: str) -> None:
    db, now = Database.connect(sqlite_url), [0.0]
    probe = WriteProbe(db, lambda: now[0])
    await probe.check()
    with full_disk():
        now[0] = 30.0
        with pytest.raises(DatabaseUnavailable, match="SQLITE"):
            await probe.check()
    await probe.check()
    await db.close()


async def test_repeated_probes_write_once(sqlite_url: str) -> None:
    db, written = Database.connect(sqlite_url), list[str]()

    @event.listens_for(db.engine.sync_engine, "before_cursor_execute")
    def record(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT"):
            written.append(statement)

    probe = WriteProbe(db, lambda: 0.0)
    await asyncio.gather(*[probe.check() for _ in range(50)])
    await probe.check()
    assert len(written) == 1
    await db.close()
