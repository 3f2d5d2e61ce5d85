"""A clock that jumped is not believed, and nothing is deleted by it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from auth.clock_check import BELIEVED_AFTER, ClockCheck
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

    def go_on(self, duration: timedelta = TEN_MINUTES) -> None:
        self.monotonic += duration.total_seconds()
        self.wall.tick(seconds=duration.total_seconds())


@pytest.fixture
def clocks(clock: ManualClock) -> Clocks:
    return Clocks(clock)


MakeCheck = Callable[[Api], ClockCheck]


@pytest.fixture
def make(clocks: Clocks) -> MakeCheck:
    return lambda api: ClockCheck(api.auth.db, clocks.wall, lambda: clocks.monotonic)


async def test_two_looks_that_agree_are_believed(
    sqlite_api: Api, make: MakeCheck, clocks: Clocks
) -> None:
    check = make(sqlite_api)
    assert not await check.is_believable()
    clocks.go_on()
    assert await check.is_believable()


@pytest.mark.parametrize("days", [730, -730])
async def test_jump_is_not_believed_for_a_day_even_if_the_clock_stays_there(
    sqlite_api: Api, make: MakeCheck, clocks: Clocks, days: int
) -> None:
    check = make(sqlite_api)
    await check.is_believable()
    clocks.go_on()
    clocks.wall.tick(days=days)
    with capture_logs() as logs:
        assert not await check.is_believable()
    assert (logs[0]["event"], logs[0]["cause"]) == ("clock.jumped", "jumped")
    clocks.go_on()
    assert not await check.is_believable()
    clocks.go_on(BELIEVED_AFTER)
    assert await check.is_believable()


async def test_start_with_a_clock_that_is_ahead_of_everything_written_is_not_believed(
    sqlite_api: Api, make: MakeCheck, clocks: Clocks
) -> None:
    await Device(sqlite_api).log_in(ALICE)
    clocks.wall.tick(days=730)
    check = make(sqlite_api)
    assert not await check.is_believable()
    clocks.go_on()
    assert not await check.is_believable()
    clocks.go_on(BELIEVED_AFTER)
    assert await check.is_believable()


async def test_clock_that_differs_from_the_clock_of_postgresql_is_not_believed(
    api: Api, make: MakeCheck, clocks: Clocks
) -> None:
    check = make(api)
    clocks.wall.tick(days=20)
    await check.is_believable()
    clocks.go_on()
    assert await check.is_believable() == (api.auth.db.dialect == "sqlite")
