"""Outages of the database: no session ends, and nothing happens twice."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from models import postgresql_change_feed
from models.database import Database, DatabaseUnavailable, parse_url
from models.session import Session
from models.user import User
from server.settings import Switch
from tests.accounts import ALICE, BOB
from tests.api import Api, codes, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.databases import FaultyProxy, PostgresqlServer, PostgresqlTemplates, postgresql_server
from tests.faults.cluster import Load, clients, cluster, outcome, signed_in
from tests.sessions import REFRESH, Device

FINE = {"ok", "refreshed"}
MAY_BE_TRIED_AGAIN = {"503"}

REGISTER = """mutation { register(input: {username: "carol", email: "carol@example.com",
    password: "of course a good one"}) { errors { code } } }"""


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresqlServer]:
    with postgresql_server() as server:
        yield server


@pytest.fixture(scope="module")
def own_templates(own_server: PostgresqlServer) -> Iterator[PostgresqlTemplates]:
    with closing(PostgresqlTemplates(own_server.folder)) as templates:
        yield templates


@pytest.fixture
def own_url(own_templates: PostgresqlTemplates) -> str:
    """The URL of a database on a server that the test can stop."""
    return own_templates.new_uncached()


SIGN_BOB_OUT = """UPDATE sessions SET revoked_at = now()
    WHERE user_id = (SELECT id FROM users WHERE username = 'bob')"""


@pytest.mark.soak
async def test_database_restart_ends_no_sessions(
    own_server: PostgresqlServer, own_url: str, tmp_path: Path
) -> None:
    with cluster(tmp_path, own_url, processes=1) as processes:
        async with clients(processes) as (client,):
            devices = [await signed_in(client) for _ in range(5)]
            bob = await signed_in(client, BOB)
            assert await outcome(client, bob.access_token) == "ok"
            async with Load(devices).running() as load:
                await asyncio.sleep(1)
                await asyncio.to_thread(own_server.crash)
                await asyncio.sleep(3)
                reply = await client.post(REFRESH, {"input": {"refreshToken": "prt_x"}})
                assert reply.status_code == 200  # what needs no row needs no database
                reply = await client.post("{ me { id } }", token=bob.access_token)
                assert (reply.status_code, reply.headers["Retry-After"]) == (503, "2")
                await asyncio.to_thread(own_server.start)
                await _as_soon_as_possible(own_url, SIGN_BOB_OUT)
                # Signed out while the change feed reconnects. No further request may succeed.
                assert await outcome(client, bob.access_token) in {"SESSION_REVOKED", "503"}
                started = time.monotonic()
                while await outcome(client, devices[0].access_token) != "ok":
                    assert time.monotonic() - started < 10
                    await asyncio.sleep(0.05)
                await asyncio.sleep(1)
                load.outcomes.clear()
                await asyncio.sleep(1)
                assert set(load.outcomes) == FINE
            assert await outcome(client, bob.access_token) == "SESSION_REVOKED"


async def _as_soon_as_possible(url: str, statement: str) -> None:
    db = Database.connect(url)
    for _ in range(1000):
        with suppress(DatabaseUnavailable, DBAPIError):
            async with db.begin() as tx:
                await tx.execute(text(statement))
            break
    await db.close()


@pytest.mark.soak
async def test_requests_during_an_outage_are_never_refusals(
    own_server: PostgresqlServer, own_url: str, tmp_path: Path
) -> None:
    with cluster(tmp_path, own_url, processes=1) as processes:
        async with clients(processes) as (client,):
            devices = [await signed_in(client) for _ in range(5)]
            async with Load(devices).running() as load:
                await asyncio.to_thread(own_server.crash)
                await asyncio.sleep(1)
                assert (await client.http.get("/healthz")).status_code == 200
                assert (await client.http.get("/readyz")).status_code == 503
                await asyncio.to_thread(own_server.start)
                await asyncio.sleep(4)
            assert set(load.outcomes) <= FINE | MAY_BE_TRIED_AGAIN
            assert load.outcomes["503"] > 0
            for device in devices:
                await device.refresh()


@pytest.mark.soak
async def test_killed_database_connections_end_no_sessions(
    postgresql_url: str, tmp_path: Path
) -> None:
    with cluster(tmp_path, postgresql_url, processes=1) as processes:
        async with clients(processes) as (client,):
            devices = [await signed_in(client) for _ in range(5)]
            killer = Database.connect(postgresql_url)
            async with Load(devices).running() as load:
                for _ in range(20):
                    async with killer.begin() as tx:
                        await tx.execute(
                            text(
                                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE"
                                " datname = current_database() AND pid <> pg_backend_pid()"
                            )
                        )
                    await asyncio.sleep(0.1)
            await killer.close()
            assert set(load.outcomes) <= FINE | MAY_BE_TRIED_AGAIN
            for device in devices:
                await device.refresh()


# In the test process, through a proxy that can break the connection.


@pytest.fixture
async def line(postgresql_url: str) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy.to(postgresql_url) as line:
        yield line


@pytest.fixture
async def far(line: FaultyProxy, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Api]:
    """A server that reaches its database through the proxy."""
    # The throttle would commit first.
    settings = make_settings(line.url, tmp_path).model_copy(update={"throttle": Switch.OFF})
    async with serving(settings, clock) as api:
        yield api
        line.breaks_before = line.breaks_after = None
        line.delay_seconds = 0


async def test_refresh_with_a_lost_commit_reply_can_be_repeated(
    far: Api, line: FaultyProxy, clock: ManualClock
) -> None:
    device = await Device(far).log_in(ALICE)
    line.breaks_after = b"COMMIT;"
    assert (await device.request_refresh()).status_code == 503
    line.breaks_after = None
    clock.tick(seconds=9)
    await device.refresh()
    await device.refresh()
    assert await device.is_signed_in()


async def test_refresh_that_does_not_reach_the_database_is_not_a_replay(
    far: Api, line: FaultyProxy, clock: ManualClock
) -> None:
    device = await Device(far).log_in(ALICE)
    line.breaks_before = b"COMMIT;"
    for _ in range(10):
        assert (await device.request_refresh()).status_code == 503
        clock.tick(minutes=1)
    line.breaks_before = None
    await device.refresh()
    assert await device.is_signed_in()


async def test_registration_with_a_lost_commit_reply_creates_one_account(
    far: Api, line: FaultyProxy
) -> None:
    line.breaks_after = b"COMMIT;"
    assert (await far.post(REGISTER)).status_code == 503
    line.breaks_after = None
    payload = (await far.data(REGISTER))["register"]
    assert set(codes(payload)) == {"USERNAME_TAKEN", "EMAIL_TAKEN"}
    async with far.auth.db.read() as session:
        carols = select(func.count()).where(User.username == "carol")
        assert await session.scalar(carols) == 1


@pytest.mark.soak
async def test_slow_database_delays_only_requests_that_use_it(far: Api, line: FaultyProxy) -> None:
    devices = [await Device(far).log_in(ALICE) for _ in range(40)]
    line.delay_seconds = 1.0
    asking = [asyncio.create_task(outcome(far, device.access_token)) for device in devices]
    await asyncio.sleep(0.1)
    taken = []
    for _ in range(50):
        started = time.perf_counter()
        assert (await far.ask("{ __typename }"))["data"] == {"__typename": "Query"}
        assert (await far.http.get("/healthz")).status_code == 200
        taken.append(time.perf_counter() - started)
    started = time.monotonic()
    assert set(await asyncio.gather(*asking)) <= {"ok", "503"}
    assert time.monotonic() - started < 15
    assert sorted(taken)[-2] < 0.2


async def test_silent_change_feed_is_treated_as_disconnected(
    line: FaultyProxy,
    postgresql_url: str,
    tmp_path: Path,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes = postgresql_change_feed.PostgresqlChangeFeed

    def over_the_line(_engine: object) -> postgresql_change_feed.PostgresqlChangeFeed:
        return changes(create_async_engine(parse_url(line.url), poolclass=NullPool))

    monkeypatch.setattr(postgresql_change_feed, "PostgresqlChangeFeed", over_the_line)
    async with serving(make_settings(postgresql_url, tmp_path), clock) as api:
        alice = await api.log_in(ALICE)
        assert await outcome(api, alice) == "ok"
        line.stall()
        stranger = Database.connect(postgresql_url)
        async with stranger.begin() as tx:
            await tx.execute(text("UPDATE sessions SET revoked_at = now()"))
        await stranger.close()
        # If the change feed counted as connected, the cache would hide the change for a minute.
        async with asyncio.timeout(30):
            while await outcome(api, alice) != "SESSION_REVOKED":
                pass
        line.recover()


# SQLite: another process holds a lock


async def test_long_sqlite_write_defers_writes_but_not_reads(
    sqlite_url: str, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.sqlite_engine.BUSY_TIMEOUT_SECONDS", 0.3)
    async with serving(make_settings(sqlite_url, tmp_path), clock) as api:
        known, unknown = await Device(api).log_in(ALICE), await Device(api).log_in(BOB)
        assert await known.is_signed_in()
        stranger = Database.connect(sqlite_url)
        async with stranger.begin() as tx:
            await tx.execute(text("SELECT 1"))
            assert await known.is_signed_in()
            assert await unknown.is_signed_in()
            reply = await known.request_refresh()
            assert (reply.status_code, reply.headers["Retry-After"]) == (503, "2")
            assert (await api.post(REGISTER)).status_code == 503
        await stranger.close()
        await known.refresh()
        async with api.auth.db.read() as session:
            generations = list(await session.scalars(select(Session.generation)))
        assert sorted(generations) == [0, 1]
        assert (await api.data(REGISTER))["register"]["errors"] == []
