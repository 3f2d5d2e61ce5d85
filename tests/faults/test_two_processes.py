"""Two processes on one database behave like one server."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from models.database import Database
from tests.accounts import ADMIN, ALICE
from tests.faults.cluster import Load, clients, cluster, one_of_cluster, outcome, signed_in
from tests.sessions import Device

LOGOUT = "mutation { logout { endedSessions } }"


async def test_concurrent_refreshes_of_one_token_get_one_successor(
    database_url: str, tmp_path: Path
) -> None:
    with cluster(tmp_path, database_url) as processes:
        async with clients(processes) as (here, there):
            device = await signed_in(here)
            twins = [
                Device(client, refresh_token=device.refresh_token) for client in [here, there] * 25
            ]
            payloads = await asyncio.gather(*(t.try_refresh(t.refresh_token) for t in twins))
            assert all(payload["errors"] == [] for payload in payloads)
            successors = {payload["tokens"]["refreshToken"] for payload in payloads}
            assert len(successors) == 1
            for payload in payloads:
                assert await outcome(there, payload["tokens"]["accessToken"]) == "ok"


async def test_revoked_session_is_refused_by_the_other_process(
    database_url: str, tmp_path: Path
) -> None:
    with cluster(tmp_path, database_url) as processes:
        async with clients(processes) as (here, there):
            for _ in range(5):
                device = await signed_in(here)
                for client in (here, there, there):
                    assert await outcome(client, device.access_token) == "ok"
                await here.data(LOGOUT, token=device.access_token)
                async with asyncio.timeout(30):
                    while await outcome(there, device.access_token) != "SESSION_REVOKED":
                        pass


async def test_manual_sql_change_takes_effect_in_every_process(
    database_url: str, tmp_path: Path
) -> None:
    with cluster(tmp_path, database_url) as processes:
        async with clients(processes) as (here, there):
            device = await signed_in(here)
            for client in (here, there):
                assert await outcome(client, device.access_token) == "ok"
            db = Database.connect(database_url)
            async with db.begin() as tx:
                await tx.execute(text("UPDATE users SET disabled_at = CURRENT_TIMESTAMP"))
            await db.close()
            for client in (here, there):
                async with asyncio.timeout(30):
                    while await outcome(client, device.access_token) != "USER_DISABLED":
                        pass


async def test_revocation_after_the_listener_died_is_not_missed(
    postgresql_url: str, tmp_path: Path
) -> None:
    with cluster(tmp_path, postgresql_url, processes=1) as processes:
        async with clients(processes) as (client,):
            db = Database.connect(postgresql_url)
            for _ in range(2):
                device = await signed_in(client)
                assert await outcome(client, device.access_token) == "ok"
                async with db.begin() as tx:
                    await tx.execute(text(KILL_LISTENERS))
                    await tx.execute(text("UPDATE sessions SET revoked_at = now()"))
                # The killed backend can take a moment to close its connection.
                async with asyncio.timeout(30):
                    while await outcome(client, device.access_token) != "SESSION_REVOKED":
                        pass
                async with asyncio.timeout(30):
                    while not await db_scalar(db, LISTENERS):
                        pass
            await db.close()


LISTENERS = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
    AND query LIKE '%pg_listening_channels%' AND pid <> pg_backend_pid()"""
KILL_LISTENERS = LISTENERS.replace("count(*)", "pg_terminate_backend(pid)")


async def db_scalar(db: Database, query: str) -> int:
    async with db.read() as session:
        return int(await session.scalar(text(query)) or 0)


async def test_revocation_persists_after_its_process_was_killed(
    database_url: str, tmp_path: Path
) -> None:
    with cluster(tmp_path, database_url) as processes:
        async with clients(processes) as (here, there):
            device = await signed_in(here)
            assert await outcome(there, device.access_token) == "ok"
            await here.data(LOGOUT, token=device.access_token)
            processes[0].process.kill()
            async with asyncio.timeout(30):
                while await outcome(there, device.access_token) != "SESSION_REVOKED":
                    pass
            with one_of_cluster(tmp_path, database_url) as again:
                async with clients([again]) as (client,):
                    assert await outcome(client, device.access_token) == "SESSION_REVOKED"


async def test_no_refresh_succeeds_after_a_sign_out_on_the_other_process(
    database_url: str, tmp_path: Path
) -> None:
    with cluster(tmp_path, database_url) as processes:
        async with clients(processes) as (here, there):
            admin = await signed_in(here, ADMIN)
            alice = await here.id_of(ALICE, admin=admin.access_token)
            for how in (LOGOUT, "mutation { logoutEverywhere { endedSessions } }", _disable(alice)):
                device = await signed_in(here)
                by = admin if "disable" in how else device
                _, payload = await asyncio.gather(
                    here.data(how, token=by.access_token),
                    Device(there).try_refresh(device.refresh_token),
                )
                for client in (here, there):
                    assert await outcome(client, device.access_token) != "ok"
                if payload["tokens"]:
                    late = Device(there)
                    late.keep(payload["tokens"])
                    assert await outcome(there, late.access_token) != "ok"
                    assert (await late.try_refresh(late.refresh_token))["tokens"] is None


def _disable(user_id: str) -> str:
    return f'mutation {{ disableUser(input: {{userId: "{user_id}"}}) {{ errors {{ code }} }} }}'


async def test_restart_keeps_sessions(database_url: str, tmp_path: Path) -> None:
    with cluster(tmp_path, database_url, processes=1) as processes:
        async with clients(processes) as (client,):
            device = await signed_in(client)
            await device.refresh()
        assert processes[0].stop() == 0
    with cluster(tmp_path, database_url, processes=1) as processes:
        async with clients(processes) as (client,):
            device.api = client
            assert await device.is_signed_in()
            # A replay is still detected.
            spent = device.used_tokens[0]
            await device.refresh()
            assert (await device.try_refresh(spent))["tokens"] is None
            assert not await device.is_signed_in()


@pytest.mark.soak
async def test_process_that_starts_under_load_is_not_overloaded(
    database_url: str, tmp_path: Path
) -> None:
    with cluster(tmp_path, database_url, processes=1) as processes:
        async with clients(processes) as (client,):
            devices = [await signed_in(client) for _ in range(30)]
        with one_of_cluster(tmp_path, database_url) as fresh:
            async with clients([fresh]) as (client,):
                for device in devices:
                    device.api = client
                async with Load(devices, pause=0).running() as load:
                    await asyncio.sleep(2)
            assert set(load.outcomes) == {"ok", "refreshed"}
