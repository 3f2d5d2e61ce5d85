"""The clock check: a clock that jumped is not trusted for a day."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from auth.clock_check import TRUSTED_AFTER, ClockCheck
from tests.accounts import ALICE
from tests.api import Api
from tests.clock import ManualClock
from tests.sessions import Device

TEN_MINUTES = timedelta(minutes=10)


class Clocks:
    """The wall clock and the monotonic clock of one machine."""

    def __init__(self, wall: ManualClock) -> None:
        self.wall = wall
        self.monotonic = 1000.0

    def advance(self, duration: timedelta = TEN_MINUTES) -> None:
        self.monotonic += duration.total_seconds()
        self.wall.tick(seconds=duration.total_seconds())


@pytest.fixture
def clocks(clock: ManualClock) -> Clocks:
    return Clocks(clock)


MakeCheck = Callable[[Api], ClockCheck]


@pytest.fixture
def make(clocks: Clocks) -> MakeCheck:
    return lambda api: ClockCheck(api.auth.db, clocks.wall, lambda: clocks.monotonic)


async def test_clock_is_trusted_after_two_consistent_checks(
    sqlite_api: Api, make: MakeCheck, clocks: Clocks
) -> None:
    check = make(sqlite_api)
    assert not await check.is_trusted()
    clocks.advance()
    assert await check.is_trusted()


@pytest.mark.parametrize("days", [730, -730])
async def test_clock_is_not_trusted_for_a_day_after_a_jump(
    sqlite_api: Api, make: MakeCheck, clocks: Clocks, days: int
) -> None:
    check = make(sqlite_api)
    await check.is_trusted()
    clocks.advance()
    clocks.wall.tick(days=days)
    with capture_logs() as logs:
        assert not await check.is_trusted()
    assert (logs[0]["event"], logs[0]["cause"]) == ("clock.jumped", "jumped")
    clocks.advance()
    assert not await check.is_trusted()
    clocks.advance(TRUSTED_AFTER)
    assert await check.is_trusted()


async def test_clock_far_ahead_of_newest_rows_at_start_is_not_trusted(
    sqlite_api: Api, make: MakeCheck, clocks: Clocks
) -> None:
    await Device(sqlite_api).log_in(ALICE)
    clocks.wall.tick(days=730)
    check = make(sqlite_api)
    assert not await check.is_trusted()
    clocks.advance()
    assert not await check.is_trusted()
    clocks.advance(TRUSTED_AFTER)
    assert await check.is_trusted()


async def test_clock_that_differs_from_postgresql_is_not_trusted(
    api: Api, make: MakeCheck, clocks: Clocks
) -> None:
    check = make(api)
    clocks.wall.tick(days=20)
    await check.is_trusted()
    clocks.advance()
    assert await check.is_trusted() == (api.auth.db.dialect == "sqlite")
