"""Arguments of resolvers: optional values and IDs."""

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

import strawberry

from auth.errors import RoleNotFound, UserNotFound, as_field

T = TypeVar("T")


def given(value: T | None) -> T | None:
    """Returns the value, or None if it was left out.

    Arguments default to UNSET, because the SDL would show a default of None as `= null`.
    """
    return None if value is strawberry.UNSET else value


def parse_id(text: str) -> UUID | None:
    """Returns the ID, or None if the text is not a UUID: then nothing has that ID."""
    try:
        identifier = UUID(text)
    except ValueError:
        return None
    return identifier if str(identifier) == text.lower() else None


def read_user_id(text: str) -> UUID:
    """Returns the ID of a user. Raises UserNotFound."""
    user_id = parse_id(text)
    if user_id is None:
        raise UserNotFound
    return user_id


def read_role_ids(texts: Sequence[str]) -> list[UUID]:
    """Returns the IDs of roles. Raises RoleNotFound."""
    role_ids = [role_id for text in texts if (role_id := parse_id(text))]
    if len(role_ids) != len(texts):
        raise RoleNotFound
    return role_ids


def read_role_id(text: str) -> UUID:
    """Returns the ID of a role. Raises RoleNotFound."""
    with as_field("role_id"):
        (role_id,) = read_role_ids([text])
    return role_id
