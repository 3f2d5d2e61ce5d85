"""Housekeeping: deletes old rows and rotates keys, in one process at a time."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from auth import logout
from auth.housekeeping import (
    Housekeeping,
    clean_up,
    delete_ended_sessions,
    delete_expired_requests,
)
from auth.invitations import create_invitation
from auth.logout import end_all_sessions
from auth.permissions import Console
from auth.tokens.secret_keys import SecretKeys, WrongSecretKey
from models.base import uuid7
from models.database import DatabaseUnavailable
from models.invitation import Invitation
from models.session import Session
from models.signing_key import SigningKey
from models.user import User
from tests.accounts import ALICE, OPERATOR
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.databases import wait_until
from tests.sessions import Device

OLD, NEW = "an old secret that is long enough here", "a new secret that is long enough here"


async def count_sessions(api: Api) -> int:
    async with api.auth.db.read() as session:
        return await session.scalar(select(func.count()).select_from(Session)) or 0


async def test_revoked_session_is_deleted_after_30_days(api: Api, clock: ManualClock) -> None:
    device = await Device(api).log_in(ALICE)
    await api.data("mutation { logout { endedSessions } }", token=device.access_token)
    clock.tick(days=30)
    assert await delete_ended_sessions(api.auth) == 0
    clock.tick(seconds=1)
    assert await delete_ended_sessions(api.auth) == 1
    assert await count_sessions(api) == 0


async def test_expired_session_is_deleted_after_30_days(api: Api, clock: ManualClock) -> None:
    await Device(api).log_in(ALICE)
    clock.tick(days=60)
    assert await delete_ended_sessions(api.auth) == 0
    clock.tick(seconds=1)
    assert await delete_ended_sessions(api.auth) == 1


async def test_active_session_is_not_deleted(api: Api, clock: ManualClock) -> None:
    device = await Device(api).log_in(ALICE)
    for _ in range(4):
        clock.tick(days=29)
        await device.refresh()
    await clean_up(api.auth)
    await device.refresh()


async def add_ended_sessions(api: Api, count: int) -> None:
    long_ago = api.auth.clock.now() - timedelta(days=500)
    async with api.auth.db.begin() as tx:
        alice = (await tx.scalars(select(User).where(User.username == "alice"))).one()
        tx.add_all(
            Session(
                id=uuid7(),
                user_id=alice.id,
                created_at=long_ago,
                last_used_at=long_ago,
                idle_expires_at=long_ago,
                expires_at=long_ago,
            )
            for _ in range(count)
        )


async def test_many_ended_sessions_are_deleted_in_batches(api: Api) -> None:
    await add_ended_sessions(api, 450)
    device = await Device(api).log_in(ALICE)
    assert await delete_ended_sessions(api.auth, select_limit=200) == 450
    assert await count_sessions(api) == 1
    assert await device.is_signed_in()


async def test_ended_sessions_are_not_deleted_while_another_process_deletes_them(
    postgresql_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    async with serving(make_settings(postgresql_url, tmp_path), clock) as api:
        await add_ended_sessions(api, 3)
        async with api.auth.db.begin() as tx:
            assert await api.auth.db.try_lock(tx, "housekeeping")
            assert await delete_ended_sessions(api.auth) == 0
        assert await delete_ended_sessions(api.auth) == 3


async def test_concurrent_deletions_delete_each_session_once(api: Api) -> None:
    await add_ended_sessions(api, 250)
    deleted = await asyncio.gather(*(delete_ended_sessions(api.auth) for _ in range(4)))
    assert sum(deleted) == 250
    assert await count_sessions(api) == 0


async def test_deletion_of_ended_sessions_skips_locked_rows(
    postgresql_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    """Transactions that lock the same sessions in different orders would deadlock."""
    async with serving(make_settings(postgresql_url, tmp_path), clock) as api:
        await add_ended_sessions(api, 3)
        async with api.auth.db.begin() as tx:
            await tx.execute(select(Session).limit(1).with_for_update())
            assert await delete_ended_sessions(api.auth) == 2
        assert await delete_ended_sessions(api.auth) == 1


async def test_deletion_of_expired_requests_skips_locked_rows(
    postgresql_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    async with serving(make_settings(postgresql_url, tmp_path), clock) as api:
        for name in ("carol", "erin"):
            email = f"{name}@example.com"
            await create_invitation(api.auth, OPERATOR, email=email, role_ids=[])
        clock.tick(days=30)
        async with api.auth.db.begin() as tx:
            await tx.execute(select(Invitation).limit(1).with_for_update())
            await delete_expired_requests(api.auth)
            assert await tx.scalar(select(func.count()).select_from(Invitation)) == 1
        await delete_expired_requests(api.auth)
        async with api.auth.db.read() as session:
            assert (await session.scalars(select(Invitation))).all() == []


# Keys


async def kids(api: Api) -> list[str]:
    return [str(key["kid"]) for key in (await api.auth.keys.jwks())["keys"]]


async def test_signing_key_is_rotated_after_90_days(api: Api, clock: ManualClock) -> None:
    (first,) = await kids(api)
    clock.tick(days=90, seconds=-1)
    await clean_up(api.auth)
    assert await kids(api) == [first]
    clock.tick(seconds=1)
    await clean_up(api.auth)
    second, still_first = await kids(api)
    assert still_first == first
    assert (await api.auth.keys.signing_key()).kid == first
    clock.tick(minutes=10)
    assert (await api.auth.keys.signing_key()).kid == second


async def test_concurrent_clean_ups_add_one_key(api: Api, clock: ManualClock) -> None:
    clock.tick(days=91)
    await asyncio.gather(*(clean_up(api.auth) for _ in range(3)))
    assert len(await kids(api)) == 2


async def test_key_rotation_can_be_turned_off(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    settings = make_settings(sqlite_url, tmp_path).model_copy(update={"key_max_age": 0})
    async with serving(settings, clock) as api:
        clock.tick(days=5000)
        await clean_up(api.auth)
        assert len(await kids(api)) == 1


@pytest.fixture
async def with_two_secrets(
    database_url: str, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Api]:
    """A server whose secret was changed from OLD to NEW."""
    settings = make_settings(database_url, tmp_path)
    old = settings.model_copy(update={"secret_key": SecretStr(OLD)})
    async with serving(old, clock):
        pass
    both = settings.model_copy(update={"secret_key": SecretStr(f"{NEW},{OLD}")})
    async with serving(both, clock) as api:
        yield api


async def opens(api: Api, secret: str) -> bool:
    async with api.auth.db.read() as session:
        row = (await session.scalars(select(SigningKey))).one()
    keys = SecretKeys([secret])
    try:
        keys.decrypt(row.encrypted_private_key, purpose="postern signing keys", bound_to=row.kid)
    except WrongSecretKey:
        return False
    return True


async def test_keys_are_encrypted_again_with_the_newest_secret(with_two_secrets: Api) -> None:
    assert await opens(with_two_secrets, OLD)
    await clean_up(with_two_secrets.auth)
    assert await opens(with_two_secrets, NEW)
    assert not await opens(with_two_secrets, OLD)


async def test_old_secret_can_be_removed_after_clean_up(
    with_two_secrets: Api, database_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    token = await with_two_secrets.log_in(ALICE)
    await clean_up(with_two_secrets.auth)
    settings = make_settings(database_url, tmp_path)
    new = settings.model_copy(update={"secret_key": SecretStr(NEW)})
    async with serving(new, clock) as api:
        assert await api.data("{ me { id } }", token=token)


# The background task


async def test_housekeeping_runs_again_after_a_failure(sqlite_api: Api) -> None:
    tries: list[type[Exception]] = []

    async def fail(_auth: object, *, deletes: bool) -> None:
        tries.append(DatabaseUnavailable if not tries else ValueError)
        raise tries[-1]("no")

    task = Housekeeping(sqlite_api.auth, interval=timedelta(), job=fail)
    with capture_logs() as logs:
        task.start()
        await wait_until(lambda: len(tries) > 2)
        await task.stop()
    assert [entry["event"] for entry in logs][:2] == [
        "housekeeping.deferred",
        "housekeeping.failed",
    ]


async def test_housekeeping_deletes_only_while_the_clock_is_trusted(
    sqlite_api: Api, clock: ManualClock
) -> None:
    deleting: list[bool] = []

    async def clean_up_and_jump(_auth: object, *, deletes: bool) -> None:
        deleting.append(deletes)
        if len(deleting) == 2:
            clock.tick(days=730)

    task = Housekeeping(sqlite_api.auth, interval=timedelta(), job=clean_up_and_jump)
    task.start()
    await wait_until(lambda: len(deleting) > 3)
    await task.stop()
    assert deleting[:4] == [False, True, False, False]


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (DatabaseUnavailable("LockNotAvailableError"), "housekeeping.deferred"),
        (ValueError("an internal error"), "housekeeping.failed"),
    ],
)
async def test_clean_up_continues_after_a_step_fails(
    api: Api,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    event: str,
) -> None:
    async def fail() -> None:
        raise error

    await add_ended_sessions(api, 3)
    (first,) = await kids(api)
    clock.tick(days=91)
    monkeypatch.setattr(api.auth.throttle, "delete_expired", fail)
    with capture_logs() as logs:
        await clean_up(api.auth)
    assert await count_sessions(api) == 0
    assert first in await kids(api)
    assert len(await kids(api)) == 2
    (line,) = [entry for entry in logs if entry["log_level"] in {"warning", "error"}]
    assert (line["event"], line["step"]) == (event, "_delete_old_attempts")


async def test_clean_up_deletes_nothing_without_a_trusted_clock(
    api: Api, clock: ManualClock
) -> None:
    await add_ended_sessions(api, 3)
    clock.tick(days=730)
    await clean_up(api.auth, deletes=False)
    assert await count_sessions(api) == 3
    assert len(await kids(api)) == 1


# Ending all sessions, as after a restored backup


async def test_end_all_sessions_works_in_batches_and_reports_progress(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logout, "BATCH_SIZE", 2)
    devices = [await Device(api).log_in(ALICE) for _ in range(5)]
    reported: list[int] = []
    assert await end_all_sessions(api.auth, Console(api.auth.permissions), reported.append) == 5
    assert reported == [2, 4, 5]
    for device in devices:
        assert (await device.try_refresh(device.refresh_token))["tokens"] is None


async def test_end_all_sessions_retries_locked_sessions(
    postgresql_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    async with serving(make_settings(postgresql_url, tmp_path), clock) as api:
        reported: list[int] = []
        await Device(api).log_in(ALICE)
        await Device(api).log_in(ALICE)
        async with api.auth.db.begin() as tx:
            await tx.execute(select(Session).limit(1).with_for_update())
            console = Console(api.auth.permissions)
            ending = asyncio.create_task(end_all_sessions(api.auth, console, reported.append))
            await wait_until(lambda: reported == [1])
            assert not ending.done()
        assert await ending == 2


async def test_end_all_sessions_signs_out_all_users_and_replaces_the_keys(api: Api) -> None:
    alice, (key,) = await Device(api).log_in(ALICE), await kids(api)
    # As after a restored backup: the session is active again.
    await api.data("mutation { logout { endedSessions } }", token=alice.access_token)
    async with api.auth.db.begin() as tx:
        await tx.execute(update(Session).values(revoked_at=None, revocation_reason=None))
    assert await alice.is_signed_in()
    assert await end_all_sessions(api.auth, Console(api.auth.permissions)) == 1
    assert not await alice.is_signed_in()
    assert (await alice.try_refresh(alice.refresh_token))["tokens"] is None
    assert key not in await kids(api)
    await (await Device(api).log_in(ALICE)).refresh()
