"""Reading arguments: what was given, and ids."""

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

import strawberry

from auth.errors import RoleNotFound, UserNotFound, as_field

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


def read_user_id(text: str) -> UUID:
    """The id of a user. Raises UserNotFound."""
    user_id = parse_id(text)
    if user_id is None:
        raise UserNotFound
    return user_id


def read_role_ids(texts: Sequence[str]) -> list[UUID]:
    """The ids of roles. Raises RoleNotFound."""
    role_ids = [role_id for text in texts if (role_id := parse_id(text))]
    if len(role_ids) != len(texts):
        raise RoleNotFound
    return role_ids


def read_role_id(text: str) -> UUID:
    """The id of one role. Raises RoleNotFound."""
    with as_field("role_id"):
        (role_id,) = read_role_ids([text])
    return role_id
