"""Refresh: rotation, grace window, idempotency keys, and replays that end the session."""

import asyncio
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import event, text

from tests.api import Api, codes, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.sessions import REFRESH, Device

REFUSED = ["INVALID_REFRESH_TOKEN"]
KEY = "5a1c8f3e-0000-4000-8000-7d3f1a9b2c4d"
OTHER_KEY = "1f0e9d8c-0000-4000-8000-6b5a4f3e2d1c"


@pytest.fixture
async def device(api: Api) -> Device:
    return await Device(api).log_in()


async def test_refresh_issues_new_tokens_of_the_same_session(device: Device) -> None:
    before = device.refresh_token
    await device.refresh()
    assert device.refresh_token != before
    assert await device.is_signed_in()


async def test_refresh_within_grace_gets_the_same_successor(
    device: Device, clock: ManualClock
) -> None:
    await device.refresh()
    clock.tick(seconds=60)
    late = await device.try_refresh(device.used_tokens[0])
    assert late["tokens"]["refreshToken"] == device.refresh_token


async def test_concurrent_refreshes_get_one_successor(device: Device) -> None:
    refreshes = [device.try_refresh(device.refresh_token) for _ in range(24)]
    payloads = await asyncio.gather(*refreshes)
    assert len({payload["tokens"]["refreshToken"] for payload in payloads}) == 1


async def test_refresh_reuse_after_grace_revokes_session(
    device: Device, clock: ManualClock
) -> None:
    await device.refresh()
    clock.tick(seconds=61)
    assert codes(await device.try_refresh(device.used_tokens[0])) == REFUSED
    assert not await device.is_signed_in()
    assert codes(await device.try_refresh(device.refresh_token)) == REFUSED


async def test_refresh_reuse_of_an_older_generation_revokes_session(device: Device) -> None:
    await device.refresh()
    await device.refresh()
    assert codes(await device.try_refresh(device.used_tokens[0])) == REFUSED
    assert not await device.is_signed_in()


async def test_repeated_refresh_does_not_extend_the_grace(
    device: Device, clock: ManualClock
) -> None:
    await device.refresh()
    clock.tick(seconds=31)
    await device.try_refresh(device.used_tokens[0])
    clock.tick(seconds=31)
    assert codes(await device.try_refresh(device.used_tokens[0])) == REFUSED


async def test_session_list_shows_the_replay(device: Device, clock: ManualClock) -> None:
    await device.refresh()
    clock.tick(seconds=61)
    await device.try_refresh(device.used_tokens[0])
    again = await Device(device.api).log_in()
    data = await device.api.data(
        "{ me { sessions(ended: true) { nodes { endReason } } } }", token=again.access_token
    )
    assert data["me"]["sessions"]["nodes"] == [{"endReason": "REFRESH_TOKEN_REPLAYED"}]


@pytest.mark.parametrize("damage", ["mac", "generation", "prefix", "padding", "rubbish", "empty"])
async def test_refresh_with_a_damaged_token_changes_nothing(device: Device, damage: str) -> None:
    token = device.refresh_token
    guess = {
        "mac": token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB"),
        "generation": token[:28] + ("A" if token[28] != "A" else "B") + token[29:],
        "prefix": "xyz_" + token[4:],
        "padding": token + "==",
        "rubbish": "prt_not-a-token",
        "empty": "",
    }[damage]
    assert codes(await device.try_refresh(guess)) == REFUSED
    await device.refresh()


async def test_idle_session_expires(device: Device, clock: ManualClock) -> None:
    clock.tick(days=30)
    assert codes(await device.try_refresh(device.refresh_token)) == REFUSED


async def test_refresh_moves_the_idle_timeout(device: Device, clock: ManualClock) -> None:
    clock.tick(days=29)
    await device.refresh()
    clock.tick(days=29)
    await device.refresh()


async def test_refresh_does_not_move_the_absolute_timeout(
    device: Device, clock: ManualClock
) -> None:
    for _ in range(13):
        clock.tick(days=28)
        await device.refresh()
    clock.tick(days=1)
    assert codes(await device.try_refresh(device.refresh_token)) == REFUSED


async def test_clock_set_back_does_not_reopen_the_grace(device: Device, clock: ManualClock) -> None:
    await device.refresh()
    clock.tick(hours=-1)
    assert codes(await device.try_refresh(device.used_tokens[0])) == REFUSED
    assert codes(await device.try_refresh(device.refresh_token)) == []


async def test_refresh_refused_while_disabled_does_not_use_the_token(
    api: Api, device: Device, clock: ManualClock
) -> None:
    statement = "UPDATE users SET disabled_at = {} WHERE username = 'alice'"
    await execute(api, statement.format("CURRENT_TIMESTAMP"))
    assert codes(await device.try_refresh(device.refresh_token)) == REFUSED
    clock.tick(minutes=1)
    await execute(api, statement.format("NULL"))
    await device.refresh()


async def test_token_newer_than_a_restored_backup_is_not_a_replay(api: Api, device: Device) -> None:
    await device.refresh()
    await device.refresh()
    await execute(api, "UPDATE sessions SET generation = 0")
    assert codes(await device.try_refresh(device.refresh_token)) == REFUSED
    assert await device.is_signed_in()


async def test_refresh_can_be_repeated_after_a_database_error(
    api: Api, device: Device, clock: ManualClock
) -> None:
    def fail_after_the_update(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM users" in statement and statement.startswith("SELECT"):
            raise OSError("the connection was lost")

    engine = api.auth.db.engine.sync_engine
    for _ in range(3):
        event.listen(engine, "before_cursor_execute", fail_after_the_update)
        variables = {"input": {"refreshToken": device.refresh_token}}
        reply = await device.api.post(REFRESH, variables)
        event.remove(engine, "before_cursor_execute", fail_after_the_update)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "2")
        clock.tick(minutes=1)
    await device.refresh()


# Idempotency keys


async def lose_a_reply(device: Device, key: str = KEY) -> str:
    """Refreshes, and drops the reply. Returns the refresh token in the reply."""
    payload = await device.try_refresh(device.refresh_token, key=key)
    return str(payload["tokens"]["refreshToken"])


async def test_refresh_with_same_key_gets_same_successor_after_a_long_outage(
    device: Device, clock: ManualClock
) -> None:
    lost = await lose_a_reply(device)
    for _ in range(3):
        clock.tick(days=9)
        payload = await device.try_refresh(device.refresh_token, key=KEY)
        assert payload["tokens"]["refreshToken"] == lost
    device.keep(payload["tokens"])
    await device.refresh()


async def test_refresh_with_another_key_after_grace_revokes_session(
    device: Device, clock: ManualClock
) -> None:
    await lose_a_reply(device)
    clock.tick(seconds=61)
    assert codes(await device.try_refresh(device.refresh_token, key=OTHER_KEY)) == REFUSED
    assert not await device.is_signed_in()
    assert codes(await device.try_refresh(device.refresh_token, key=KEY)) == REFUSED


async def test_refresh_after_a_stolen_token_was_used_revokes_session(
    device: Device, clock: ManualClock
) -> None:
    # The thief refreshed first, without the key. So the refresh of the owner is a replay.
    await device.try_refresh(device.refresh_token)
    clock.tick(seconds=61)
    assert codes(await device.try_refresh(device.refresh_token, key=KEY)) == REFUSED
    assert not await device.is_signed_in()


async def test_refresh_without_key_after_grace_revokes_session_that_was_refreshed_with_one(
    device: Device, clock: ManualClock
) -> None:
    await lose_a_reply(device)
    clock.tick(seconds=61)
    assert codes(await device.try_refresh(device.refresh_token)) == REFUSED
    assert not await device.is_signed_in()


async def test_refresh_with_same_key_is_replay_once_the_successor_was_used(device: Device) -> None:
    spent = device.refresh_token
    device.refresh_token = await lose_a_reply(device)
    await device.refresh()
    assert codes(await device.try_refresh(spent, key=KEY)) == REFUSED
    assert not await device.is_signed_in()


async def test_two_tabs_with_different_keys_get_same_successor_within_grace(
    device: Device, clock: ManualClock
) -> None:
    lost = await lose_a_reply(device)
    clock.tick(seconds=59)
    payload = await device.try_refresh(device.refresh_token, key=OTHER_KEY)
    assert payload["tokens"]["refreshToken"] == lost


async def test_idempotency_key_can_be_used_again_for_a_later_generation(
    device: Device, clock: ManualClock
) -> None:
    for _ in range(3):
        lost = await lose_a_reply(device)
        clock.tick(hours=1)
        payload = await device.try_refresh(device.refresh_token, key=KEY)
        assert payload["tokens"]["refreshToken"] == lost
        device.keep(payload["tokens"])


async def test_idempotency_key_of_an_earlier_refresh_does_not_count(
    device: Device, clock: ManualClock
) -> None:
    await lose_a_reply(device)
    payload = await device.try_refresh(device.refresh_token, key=KEY)
    device.keep(payload["tokens"])
    await device.refresh()
    clock.tick(seconds=61)
    # This token was exchanged without a key. The key of the earlier refresh does not count.
    assert codes(await device.try_refresh(device.used_tokens[-1], key=KEY)) == REFUSED


async def test_idempotency_key_is_independent_per_session(api: Api, clock: ManualClock) -> None:
    first, second = await Device(api).log_in(), await Device(api).log_in()
    lost = [await lose_a_reply(first), await lose_a_reply(second)]
    clock.tick(hours=1)
    for device, successor in zip([first, second], lost, strict=True):
        payload = await device.try_refresh(device.refresh_token, key=KEY)
        assert payload["tokens"]["refreshToken"] == successor


async def test_repeated_refresh_does_not_extend_the_session(
    device: Device, clock: ManualClock
) -> None:
    await lose_a_reply(device)
    clock.tick(days=29)
    await device.try_refresh(device.refresh_token, key=KEY)
    clock.tick(days=1)
    assert codes(await device.try_refresh(device.refresh_token, key=KEY)) == REFUSED


async def test_repeated_refresh_of_an_ended_session_is_refused(
    device: Device, clock: ManualClock
) -> None:
    await lose_a_reply(device)
    await device.api.data("mutation { logout { endedSessions } }", token=device.access_token)
    assert codes(await device.try_refresh(device.refresh_token, key=KEY)) == REFUSED


async def test_repeated_refresh_survives_a_clock_that_was_set_back(
    device: Device, clock: ManualClock
) -> None:
    lost = await lose_a_reply(device)
    clock.tick(hours=-1)
    payload = await device.try_refresh(device.refresh_token, key=KEY)
    assert payload["tokens"]["refreshToken"] == lost


async def test_repeated_refresh_survives_a_change_of_the_secret(
    database_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    settings = make_settings(database_url, tmp_path)
    old, new = "an old secret of the tests, long enough", "a new secret of the tests, long enough"
    device: Device | None = None
    for secrets in (old, f"{old},{new}", f"{new},{old}"):
        changed = settings.model_copy(update={"secret_key": SecretStr(secrets)})
        async with serving(changed, clock) as api:
            if device is None:
                device = await Device(api).log_in()
                await lose_a_reply(device)
            device.api = api
            clock.tick(hours=1)
            payload = await device.try_refresh(device.refresh_token, key=KEY)
    assert device
    assert payload["errors"] == []


async def test_concurrent_refreshes_with_one_key_get_one_successor(device: Device) -> None:
    tries = [device.try_refresh(device.refresh_token, key=KEY) for _ in range(24)]
    payloads = await asyncio.gather(*tries)
    assert len({payload["tokens"]["refreshToken"] for payload in payloads}) == 1


async def test_idempotency_key_is_stored_as_hmac(api: Api, device: Device) -> None:
    await lose_a_reply(device)
    async with api.auth.db.read() as session:
        rows = (await session.execute(text("SELECT * FROM sessions"))).all()
    assert KEY not in repr(rows)
    assert KEY.encode().hex() not in repr(rows)


async def test_grace_starts_at_the_commit_of_a_slow_refresh(
    api: Api, device: Device, clock: ManualClock
) -> None:
    async with api.auth.db.begin() as tx:
        await tx.execute(text("UPDATE sessions SET user_agent = 'slow'"))
        refreshing = asyncio.create_task(device.try_refresh(device.refresh_token))
        await asyncio.sleep(0.2)
        clock.tick(seconds=50)
    lost = (await refreshing)["tokens"]["refreshToken"]
    clock.tick(seconds=50)
    assert (await device.try_refresh(device.refresh_token))["tokens"]["refreshToken"] == lost


async def execute(api: Api, statement: str) -> None:
    async with api.auth.db.begin() as tx:
        await tx.execute(text(statement))
