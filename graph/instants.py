"""The scalar `DateTime`: instants as in RFC 3339, in UTC."""

from datetime import UTC, datetime

import strawberry
from strawberry.types.scalar import ScalarDefinition


def format_instant(instant: datetime) -> str:
    """Returns an instant as text, e.g. `2026-11-23T20:07:00Z`. Raises ValueError."""
    if instant.tzinfo is None:
        raise ValueError("the datetime has no time zone")
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    """Returns the instant of a text. Raises ValueError."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("the offset from UTC is missing, e.g. `Z`")
    return instant.astimezone(UTC)


DATE_TIME: ScalarDefinition = strawberry.scalar(
    name="DateTime",
    description="An instant as in RFC 3339, in UTC, e.g. `2026-11-23T20:07:00Z`.",
    specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
    serialize=format_instant,
    parse_value=parse_instant,
)
