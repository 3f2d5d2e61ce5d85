"""Staying signed in: a refresh token works once, its late twin gets the same, a replay ends it."""

import asyncio

import pytest
from sqlalchemy import text

from tests.api import Api, codes
from tests.clock import ManualClock
from tests.sessions import REFRESH, Device

REFUSED = ["INVALID_REFRESH_TOKEN"]


@pytest.fixture
async def device(api: Api) -> Device:
    return await Device(api).log_in()


async def test_a_refresh_gives_new_tokens_of_the_same_session(device: Device) -> None:
    before = device.refresh_token
    await device.refresh()
    assert device.refresh_token != before
    assert await device.is_signed_in()


async def test_a_second_tab_gets_the_same_successor(device: Device, clock: ManualClock) -> None:
    await device.refresh()
    clock.tick(seconds=10)
    late = await device.try_refresh(device.spent[0])
    assert late["tokens"]["refreshToken"] == device.refresh_token


async def test_twenty_four_refreshes_at_once_have_one_successor(device: Device) -> None:
    refreshes = [device.try_refresh(device.refresh_token) for _ in range(24)]
    payloads = await asyncio.gather(*refreshes)
    assert len({payload["tokens"]["refreshToken"] for payload in payloads}) == 1


async def test_a_replay_after_the_grace_ends_the_session(
    device: Device, clock: ManualClock
) -> None:
    await device.refresh()
    clock.tick(seconds=11)
    assert codes(await device.try_refresh(device.spent[0])) == REFUSED
    assert not await device.is_signed_in()
    assert codes(await device.try_refresh(device.refresh_token)) == REFUSED


async def test_a_token_from_before_the_last_is_a_replay_even_at_once(device: Device) -> None:
    await device.refresh()
    await device.refresh()
    assert codes(await device.try_refresh(device.spent[0])) == REFUSED
    assert not await device.is_signed_in()


async def test_a_late_twin_does_not_move_the_session_on(device: Device, clock: ManualClock) -> None:
    await device.refresh()
    clock.tick(seconds=8)
    await device.try_refresh(device.spent[0])
    clock.tick(seconds=8)
    assert codes(await device.try_refresh(device.spent[0])) == REFUSED


async def test_the_owner_sees_why_the_session_ended(device: Device, clock: ManualClock) -> None:
    await device.refresh()
    clock.tick(seconds=11)
    await device.try_refresh(device.spent[0])
    again = await Device(device.api).log_in()
    data = await device.api.data(
        "{ me { sessions(ended: true) { nodes { endReason } } } }", token=again.access_token
    )
    assert data["me"]["sessions"]["nodes"] == [{"endReason": "REFRESH_TOKEN_REPLAYED"}]


@pytest.mark.parametrize("damage", ["mac", "generation", "prefix", "padding", "rubbish", "empty"])
async def test_a_guess_changes_nothing(device: Device, damage: str) -> None:
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


async def test_an_idle_session_ends(device: Device, clock: ManualClock) -> None:
    clock.tick(days=30)
    assert codes(await device.try_refresh(device.refresh_token)) == REFUSED


async def test_refreshing_moves_the_idle_end(device: Device, clock: ManualClock) -> None:
    clock.tick(days=29)
    await device.refresh()
    clock.tick(days=29)
    await device.refresh()


async def test_refreshing_never_moves_the_absolute_end(device: Device, clock: ManualClock) -> None:
    for _ in range(13):
        clock.tick(days=28)
        await device.refresh()
    clock.tick(days=1)
    assert codes(await device.try_refresh(device.refresh_token)) == REFUSED


async def test_a_clock_set_back_does_not_reopen_the_grace(
    device: Device, clock: ManualClock
) -> None:
    await device.refresh()
    clock.tick(hours=-1)
    assert codes(await device.try_refresh(device.spent[0])) == REFUSED
    assert codes(await device.try_refresh(device.refresh_token)) == []


async def test_a_refusal_while_disabled_does_not_spend_the_token(
    api: Api, device: Device, clock: ManualClock
) -> None:
    statement = "UPDATE users SET disabled_at = {} WHERE username = 'alice'"
    await execute(api, statement.format("CURRENT_TIMESTAMP"))
    assert codes(await device.try_refresh(device.refresh_token)) == REFUSED
    clock.tick(minutes=1)
    await execute(api, statement.format("NULL"))
    await device.refresh()


async def test_a_token_of_a_time_that_a_backup_took_back_accuses_nobody(
    api: Api, device: Device
) -> None:
    await device.refresh()
    await device.refresh()
    await execute(api, "UPDATE sessions SET generation = 0")
    assert codes(await device.try_refresh(device.refresh_token)) == REFUSED
    assert await device.is_signed_in()


async def test_a_refresh_that_the_database_failed_can_be_repeated(
    device: Device, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise OSError("the connection was lost")

    for _ in range(3):
        with monkeypatch.context() as broken:
            broken.setattr("auth.refresh._load_user", fail)
            variables = {"input": {"refreshToken": device.refresh_token}}
            reply = await device.api.post(REFRESH, variables)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "2")
        clock.tick(minutes=1)
    await device.refresh()


async def execute(api: Api, statement: str) -> None:
    async with api.auth.db.begin() as tx:
        await tx.execute(text(statement))
