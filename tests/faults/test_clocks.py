"""Clocks that jump, and clocks of two machines that differ."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.accounts import ALICE
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.conftest import make_settings
from tests.faults.cluster import outcome
from tests.sessions import Device


@pytest.fixture
async def two_machines(
    database_url: str, tmp_path: Path
) -> AsyncIterator[tuple[Api, Api, ManualClock, ManualClock]]:
    """Starts two servers with different clocks on one database."""
    clocks = ManualClock(), ManualClock()
    settings = make_settings(database_url, tmp_path)
    async with serving(settings, clocks[0]) as here, serving(settings, clocks[1]) as there:
        yield here, there, *clocks


@pytest.mark.parametrize("ahead", [5, -5])
async def test_clock_difference_of_five_seconds_has_no_effect(
    two_machines: tuple[Api, Api, ManualClock, ManualClock], ahead: int
) -> None:
    here, there, _, clock = two_machines
    clock.tick(seconds=ahead)
    device = await Device(here).log_in(ALICE)
    for client in (there, here, there):
        device.api = client
        assert await device.is_signed_in()
        await device.refresh()
    device.api = here
    # The other machine repeats a lost reply.
    payload = await device.try_refresh(device.used_tokens[-1])
    assert payload["tokens"]["refreshToken"] == device.refresh_token


@pytest.mark.parametrize("ahead", [{"seconds": 6}, {"minutes": 3}])
async def test_token_of_a_machine_with_a_fast_clock_is_refreshed(
    two_machines: tuple[Api, Api, ManualClock, ManualClock], ahead: dict[str, float]
) -> None:
    here, there, clock, _ = two_machines
    clock.tick(**ahead)
    device = await Device(here).log_in(ALICE)
    with capture_logs() as logs:
        # After TOKEN_INVALID, a client would delete its tokens.
        assert await outcome(there, device.access_token) == "TOKEN_EXPIRED"
    assert "token.not_yet_valid" in {entry["event"] for entry in logs}
    device.api = there
    await device.refresh()
    assert await device.is_signed_in()


async def test_clock_jump_forwards_expires_only_what_is_due(api: Api, clock: ManualClock) -> None:
    device = await Device(api).log_in(ALICE)
    clock.tick(hours=1)
    assert await outcome(api, device.access_token) == "TOKEN_EXPIRED"
    await device.refresh()
    assert await device.is_signed_in()


async def test_clock_set_back_does_not_end_sessions(api: Api, clock: ManualClock) -> None:
    device = await Device(api).log_in(ALICE)
    clock.tick(hours=-1)
    assert await outcome(api, device.access_token) == "TOKEN_EXPIRED"
    await device.refresh()
    assert await device.is_signed_in()
    clock.tick(hours=1)
    await device.refresh()
    assert await device.is_signed_in()


async def test_clock_set_back_does_not_allow_replays(api: Api, clock: ManualClock) -> None:
    device = await Device(api).log_in(ALICE)
    await device.refresh()
    clock.tick(minutes=5)
    await device.refresh()
    clock.tick(minutes=-5)
    assert (await device.try_refresh(device.used_tokens[0]))["tokens"] is None
    assert not await device.is_signed_in()


async def test_absolute_timeout_does_not_move_with_the_clock(api: Api, clock: ManualClock) -> None:
    device = await Device(api).log_in(ALICE)
    clock.tick(days=-1)
    await device.refresh()
    for _ in range(13):
        clock.tick(days=28)
        await device.refresh()
    clock.tick(days=2)
    assert (await device.try_refresh(device.refresh_token))["tokens"] is None
