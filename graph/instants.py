"""Instants in GraphQL: RFC 3339, in UTC, ending in `Z`."""

from datetime import UTC, datetime

import strawberry
from strawberry.types.scalar import ScalarDefinition


def format_instant(instant: datetime) -> str:
    """The instant as text. Raises ValueError for one without a time zone."""
    if instant.tzinfo is None:
        raise ValueError("a datetime without a time zone is not an instant")
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    """The instant that the text names. Raises ValueError."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("say the offset from UTC, e.g. `Z`")
    return instant.astimezone(UTC)


DATE_TIME: ScalarDefinition = strawberry.scalar(
    name="DateTime",
    description="An instant after RFC 3339, in UTC, e.g. `2026-11-23T20:07:00Z`.",
    specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
    serialize=format_instant,
    parse_value=parse_instant,
)
