"""The scalar `DateTime`."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from graph.instants import format_instant, parse_instant

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def test_instant_is_formatted_in_utc() -> None:
    local = NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert format_instant(local) == "2026-01-02T12:00:00Z"


@pytest.mark.parametrize("text", ["2026-01-02T12:00:00Z", "2026-01-02T17:30:00+05:30"])
def test_instant_is_parsed_with_its_offset(text: str) -> None:
    assert parse_instant(text) == NOON


def test_instant_without_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        parse_instant("2026-01-02T12:00:00")
    with pytest.raises(ValueError, match="time zone"):
        format_instant(NOON.replace(tzinfo=None))
