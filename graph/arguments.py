"""Reading arguments: what was given, and ids."""

from typing import TypeVar
from uuid import UUID

import strawberry

T = TypeVar("T")


def given(value: T | None) -> T | None:
    """The value, or None where it was left out (a default of None would print as `= null`)."""
    return None if value is strawberry.UNSET else value


def parse_id(text: str) -> UUID | None:
    """The id, or None if the text is none: then there is nothing of that id."""
    try:
        identifier = UUID(text)
    except ValueError:
        return None
    return identifier if str(identifier) == text.lower() else None
