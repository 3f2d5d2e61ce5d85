"""Counters of the throttle: decay, attempts in flight, and sums."""

from datetime import UTC, datetime, timedelta

import pytest

from auth.throttling.budgets import Limit
from auth.throttling.counters import LEASE, ThrottleCounter

HOUR = timedelta(hours=1)
LIMIT = Limit("test", free=2, half_life=HOUR, longest=HOUR)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def failed(times: int) -> ThrottleCounter:
    counter = ThrottleCounter()
    for _ in range(times):
        counter = counter.failed(LIMIT, NOW)
    return counter


def test_failures_halve_once_per_half_life() -> None:
    assert failed(4).failures_at(LIMIT, NOW + HOUR) == pytest.approx(2)


def test_later_failure_does_not_refresh_earlier_ones() -> None:
    counter = failed(4).failed(LIMIT, NOW + HOUR)
    assert counter.failures_at(LIMIT, NOW + 2 * HOUR) == pytest.approx(4 / 4 + 1 / 2)


def test_delay_counts_from_last_failure() -> None:
    counter = failed(3)
    assert counter.delay(LIMIT, NOW) == timedelta(seconds=2)
    assert counter.delay(LIMIT, NOW + timedelta(seconds=2)) == timedelta()


def test_delay_is_zero_if_clock_was_set_back() -> None:
    assert failed(3).delay(LIMIT, NOW - timedelta(days=1)) == timedelta()


def test_attempts_in_flight_fill_the_free_failures() -> None:
    counter = ThrottleCounter().started(NOW)
    assert not counter.is_full(LIMIT, NOW)
    assert counter.started(NOW).is_full(LIMIT, NOW)


def test_ended_attempt_is_not_in_flight() -> None:
    ended_at = NOW + timedelta(seconds=5)
    assert ThrottleCounter().started(NOW).ended(NOW, ended_at).in_flight_at(ended_at) == 0


def test_attempt_that_never_ends_decays() -> None:
    counter = ThrottleCounter().started(NOW)
    assert counter.in_flight_at(NOW + LEASE) == pytest.approx(0.5)


def test_without_failures_keeps_attempts_in_flight() -> None:
    counter = failed(3).started(NOW).without_failures()
    assert (counter.failures, counter.in_flight) == (0, 1)


def test_plus_decays_both_counters_to_the_same_time() -> None:
    later = ThrottleCounter().failed(LIMIT, NOW + HOUR)
    assert failed(4).plus(later, LIMIT).failures == pytest.approx(4 / 2 + 1)


def test_counter_is_negligible_when_its_sum_is() -> None:
    counter = failed(1)
    negligible_at = counter.negligible_at(LIMIT)
    assert counter.failures_at(LIMIT, negligible_at) == pytest.approx(0.1)
    assert ThrottleCounter().negligible_at(LIMIT) < NOW
