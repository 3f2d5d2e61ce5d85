"""Ids that sort by their creation, and instants that are the same on every database."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Dialect, create_mock_engine

from models.base import UtcDateTime, uuid7, uuid7_at

DIALECTS: list[Dialect] = [
    create_mock_engine(url, print).dialect for url in ("sqlite://", "postgresql+asyncpg://")
]


def test_uuid7_has_version_seven_and_current_time() -> None:
    identifier = uuid7()
    assert (identifier.version, identifier.variant) == (7, "specified in RFC 4122")
    assert abs((identifier.int >> 80) - time.time() * 1000) < 1000


def test_uuid7_strictly_increases() -> None:
    ids = [uuid7() for _ in range(5000)]
    assert ids == sorted(set(ids))


def test_uuid7_strictly_increases_across_threads() -> None:
    with ThreadPoolExecutor(8) as pool:
        series = list(pool.map(lambda _: [uuid7() for _ in range(1000)], range(8)))
    assert all(ids == sorted(ids) for ids in series)
    # Without the random bits too: they must not be what makes them differ.
    assert len({identifier.int >> 64 for ids in series for identifier in ids}) == 8000


def test_uuid7_increases_if_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = uuid7()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert before < uuid7() < uuid7()


def test_uuid7_random_parts_differ() -> None:
    assert len({uuid7().int & (1 << 62) - 1 for _ in range(1000)}) == 1000


@pytest.mark.parametrize("dialect", DIALECTS)
def test_utc_datetime_converts_to_utc(dialect: Dialect) -> None:
    tokyo = datetime(2026, 1, 1, 9, tzinfo=timezone(timedelta(hours=9)))
    bound = UtcDateTime().process_bind_param(tokyo, dialect)
    read = UtcDateTime().process_result_value(bound, dialect)
    assert read == tokyo
    assert read is not None
    assert (read.tzinfo, read.hour) == (UTC, 0)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_utc_datetime_keeps_none(dialect: Dialect) -> None:
    assert UtcDateTime().process_bind_param(None, dialect) is None
    assert UtcDateTime().process_result_value(None, dialect) is None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_utc_datetime_rejects_naive_datetime(dialect: Dialect) -> None:
    with pytest.raises(ValueError, match="time zone"):
        UtcDateTime().process_bind_param(datetime(2026, 1, 1), dialect)  # noqa: DTZ001 - the point


def test_uuid7_at_sorts_by_time() -> None:
    instants = [datetime(1969, 1, 1, tzinfo=UTC), datetime(2019, 1, 1, tzinfo=UTC)]
    instants += [instants[1] + timedelta(milliseconds=1), datetime(2026, 1, 1, tzinfo=UTC)]
    ids = [uuid7_at(instant) for instant in instants]
    assert ids == sorted(ids)
    assert [(user_id.version, user_id.variant) for user_id in ids] == [
        (7, "specified in RFC 4122")
    ] * 4
    assert ids[3].int >> 80 == int(instants[3].timestamp() * 1000)
