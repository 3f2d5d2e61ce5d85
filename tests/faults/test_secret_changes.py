"""Rotation of the signing keys and of the secret in a running cluster."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from pydantic import SecretStr

from models.database import Database
from server.doctor import diagnose
from tests.accounts import ALICE, OPERATOR
from tests.api import Client, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.faults.cluster import (
    SECRET,
    Load,
    clients,
    cluster,
    one_of_cluster,
    outcome,
    signed_in,
    try_to_refresh,
)
from tests.processes import run_command
from tests.sessions import Device

OLD, NEW = SECRET, "the secret that follows it and is as long"
FINE = {"ok", "refreshed"}


def run(folder: Path, database_url: str, *command: str, secret: str = SECRET) -> str:
    """Runs a `postern` command while the servers are running."""
    done = run_command(
        folder,
        *command,
        POSTERN_ENVIRONMENT="development",
        POSTERN_DATABASE_URL=database_url,
        POSTERN_SECRET_KEY=secret,
        POSTERN_PUBLIC_URL="http://localhost",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_five_key_rotations_with_two_processes_refuse_no_token(
    database_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    settings = make_settings(database_url, tmp_path)
    async with serving(settings, clock) as here, serving(settings, clock) as there:
        devices = [await Device(client).log_in(ALICE) for client in [here, there] * 2]
        seen: set[str] = set()
        for _ in range(5):
            await here.auth.keys.rotate(OPERATOR)
            for _ in range(4):
                clock.tick(minutes=6)
                published = {key["kid"] for key in (await there.auth.keys.jwks())["keys"]}
                for device in devices:
                    await device.refresh()
                    for client in (here, there):
                        device.api = client
                        assert await device.is_signed_in()
                signing = (await there.auth.keys.signing_key()).kid
                assert signing in published
                seen.add(signing)
        assert len(seen) == 6


@pytest.mark.soak
async def test_key_rotation_under_load_fails_no_request(
    postgresql_url: str, tmp_path: Path
) -> None:
    with cluster(tmp_path, postgresql_url) as processes:
        async with clients(processes) as both:
            devices = [await signed_in(client) for client in both for _ in range(5)]
            async with Load(devices, pause=0.05).running() as load:
                await asyncio.to_thread(run, tmp_path, postgresql_url, "keys", "rotate")
            assert set(load.outcomes) == FINE


async def test_compromised_keys_are_refused_by_every_process_until_a_refresh(
    database_url: str, tmp_path: Path
) -> None:
    with cluster(tmp_path, database_url) as processes:
        async with clients(processes) as (here, there):
            device = await signed_in(here)
            assert await outcome(there, device.access_token) == "ok"
            await asyncio.to_thread(run, tmp_path, database_url, "keys", "rotate", "--compromised")
            for client in (here, there):
                async with asyncio.timeout(30):
                    while await outcome(client, device.access_token) != "TOKEN_INVALID":
                        pass
            await device.refresh()
            for client in (here, there):
                assert await outcome(client, device.access_token) == "ok"


@pytest.mark.soak
async def test_secret_change_process_by_process_fails_no_request(
    postgresql_url: str, tmp_path: Path
) -> None:
    # As in docs/security.md: first add the new secret to every process, then put it first.
    devices: list[Device] = []
    outcomes: Counter[str] = Counter()
    for one, other in [(OLD, f"{OLD},{NEW}"), (f"{OLD},{NEW}", f"{NEW},{OLD}")]:
        with (
            one_of_cluster(tmp_path, postgresql_url, POSTERN_SECRET_KEY=one) as first,
            one_of_cluster(tmp_path, postgresql_url, POSTERN_SECRET_KEY=other) as second,
        ):
            async with clients([first, second]) as both:
                devices = devices or [await signed_in(both[0]) for _ in range(5)]
                for client in both * 3:
                    for device in devices:
                        device.api = client
                    async with Load(devices).running() as load:
                        await asyncio.sleep(0.3)
                    outcomes += load.outcomes
    assert set(outcomes) == FINE


# After a leak of the secret, as in docs/security.md: only the new secret


async def test_replacing_a_leaked_secret_causes_no_internal_errors(
    database_url: str, tmp_path: Path
) -> None:
    with cluster(tmp_path, database_url) as old_processes:
        async with clients(old_processes) as old:
            devices = [await signed_in(client) for client in old]
            said = await asyncio.to_thread(
                run, tmp_path, database_url, "sessions", "end-all", secret=NEW
            )
            assert said.startswith("Sessions ended: 2.")
            for client, device in zip(old, devices, strict=True):
                await until_not_ready(client)
                await has_no_fault(client, device)
                assert not await device.is_signed_in()
            with one_of_cluster(tmp_path, database_url, POSTERN_SECRET_KEY=NEW) as first:
                async with clients([first]) as (new,):
                    device = await signed_in(new)
                    # Processes with the old and the new secret run. None of them may end sessions.
                    for client in old:
                        await has_no_fault(client, device)
                        assert await outcome(client, device.access_token) == "503"
                    for process in old_processes:
                        assert process.stop() == 0
                    with one_of_cluster(tmp_path, database_url, POSTERN_SECRET_KEY=NEW) as second:
                        async with clients([second]) as (other,):
                            for client in (new, other):
                                assert await outcome(client, device.access_token) == "ok"
                            device.api = other
                            await device.refresh()
                            assert len(await published(new)) == len(await published(other)) == 1


async def until_not_ready(client: Client) -> None:
    async with asyncio.timeout(30):
        while (reply := await client.http.get("/readyz")).status_code == 200:
            pass
    assert reply.json() == {"status": "signing keys cannot be decrypted"}


async def has_no_fault(client: Client, device: Device) -> None:
    """Checks the replies of a process that does not have the newest secret."""
    jwks = await client.http.get("/.well-known/jwks.json")
    assert (jwks.status_code, jwks.headers["Retry-After"]) == (503, "2")
    form = {"username": ALICE.username, "password": ALICE.password}
    assert (await client.http.post("/token", data=form)).status_code == 503
    assert await outcome(client, device.access_token) in {"503", "TOKEN_INVALID"}
    asked = Device(client, refresh_token=device.refresh_token)
    assert await try_to_refresh(asked) in {"503", "INVALID_REFRESH_TOKEN"}


async def published(client: Client) -> list[str]:
    jwks = (await client.http.get("/.well-known/jwks.json")).json()
    return [key["kid"] for key in jwks["keys"]]


async def test_doctor_reports_keys_that_the_secret_does_not_decrypt(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    settings = make_settings(sqlite_url, tmp_path)
    old = settings.model_copy(update={"secret_key": SecretStr(OLD)})
    async with serving(old, clock):
        pass
    (problem,) = await diagnose(settings.model_copy(update={"secret_key": SecretStr(NEW)}))
    assert problem.startswith("POSTERN_SECRET_KEY does not decrypt the signing keys")
    assert "postern sessions end-all" in problem


# After restoring a backup


@pytest.mark.soak
async def test_sessions_of_a_restored_backup_are_ended_by_one_command(
    sqlite_url: str, tmp_path: Path
) -> None:
    path, backup = Path(sqlite_url.removeprefix("sqlite:///")), tmp_path / "backup.db"
    with cluster(tmp_path, sqlite_url, processes=1) as processes:
        async with clients(processes) as (client,):
            alice = await signed_in(client)
            db = Database.connect(sqlite_url)
            async with db.engine.connect() as connection:
                raw = (await connection.get_raw_connection()).driver_connection
                assert raw is not None
                await raw.execute(f"VACUUM INTO '{backup}'")
            await db.close()
            await client.data("mutation { logout { endedSessions } }", token=alice.access_token)
            assert await outcome(client, alice.access_token) == "SESSION_REVOKED"
        assert processes[0].stop() == 0
    await asyncio.to_thread(backup.replace, path)
    with cluster(tmp_path, sqlite_url, processes=1) as processes:
        async with clients(processes) as (client,):
            alice.api = client
            assert await alice.is_signed_in()
            said = await asyncio.to_thread(run, tmp_path, sqlite_url, "sessions", "end-all")
            assert said.startswith("Sessions ended: 1.")
            assert not await alice.is_signed_in()
            assert (await alice.try_refresh(alice.refresh_token))["tokens"] is None
            assert await (await signed_in(client)).is_signed_in()
