"""Arguments of resolvers: optional values and IDs."""

from uuid import UUID, uuid4

import pytest
import strawberry

from auth.errors import RoleNotFound, UserNotFound
from graph.arguments import given, parse_id, read_role_id, read_role_ids, read_user_id


def test_argument_that_is_left_out_is_none() -> None:
    unset: str | None = strawberry.UNSET
    assert given(unset) is None
    assert given("") == ""


@pytest.mark.parametrize("text", ["", "x", "1", "\0", f"{{{UUID(int=1)}}}", UUID(int=1).hex])
def test_text_that_is_not_a_uuid_is_no_id(text: str) -> None:
    assert parse_id(text) is None


def test_id_is_case_insensitive() -> None:
    assert parse_id(str(UUID(int=0xA)).upper()) == UUID(int=0xA)


def test_invalid_ids_raise_not_found() -> None:
    with pytest.raises(UserNotFound):
        read_user_id("x")
    with pytest.raises(RoleNotFound):
        read_role_ids([str(uuid4()), "x"])
    with pytest.raises(RoleNotFound) as caught:
        read_role_id("x")
    assert caught.value.field == "role_id"
