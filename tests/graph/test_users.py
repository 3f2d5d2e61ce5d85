"""Users: `me`, `user`, and the pages of `users`."""

from typing import Any

import pytest

from tests.accounts import ADMIN
from tests.api import Api, denials

LIST = """
query Users($first: Int, $after: String, $last: Int, $before: String) {
  users(first: $first, after: $after, last: $last, before: $before) {
    nodes { username }
    edges { cursor node { username } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""


def names(page: Any) -> list[str]:
    return [node["username"] for node in page["nodes"]]


async def list_page(api: Api, token: str, **arguments: Any) -> Any:
    return (await api.data(LIST, arguments, token=token))["users"]


async def test_me_returns_the_signed_in_user(api: Api, alice: str) -> None:
    query = """{ me { id username email emailVerified fullName disabled permissions createdAt
        lastLoginAt roles { id name description builtIn permissions } } }"""
    me = (await api.data(query, token=alice))["me"]
    assert (me["emailVerified"], me["fullName"], me["disabled"]) == (False, None, False)
    assert me["createdAt"] == "2026-01-01T00:00:00Z"
    assert me["lastLoginAt"].endswith("Z")
    assert me["roles"][0]["builtIn"] is True


async def test_users_are_paginated_forwards(api: Api, admin: str) -> None:
    first = await list_page(api, admin, first=2)
    second = await list_page(api, admin, first=2, after=first["pageInfo"]["endCursor"])
    assert names(first) + names(second) == ["audrey", "sophie", "admin", "bob"]
    assert first["pageInfo"]["hasPreviousPage"] is False
    assert second["pageInfo"]["hasPreviousPage"] is True
    assert [edge["node"] for edge in first["edges"]] == first["nodes"]


async def test_users_are_paginated_backwards(api: Api, admin: str) -> None:
    last = await list_page(api, admin, last=2)
    before = await list_page(api, admin, last=2, before=last["pageInfo"]["startCursor"])
    assert names(before) + names(last) == ["sophie", "admin", "bob", "alice"]


async def test_empty_page_has_no_cursors(api: Api, admin: str) -> None:
    end = (await list_page(api, admin, last=1))["pageInfo"]["endCursor"]
    page = await list_page(api, admin, after=end)
    assert page["nodes"] == []
    assert page["pageInfo"]["endCursor"] is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"first": 0},
        {"first": -1},
        {"first": 101},
        {"last": 0},
        {"last": 101},
        {"first": 1, "last": 1},
        {"last": 1, "after": "x"},
        {"first": 1, "before": "x"},
        {"after": "not a cursor"},
        {"after": ""},
        {"after": "AAAA"},
        {"after": "\u00e9"},
        {"after": "B" * 22},
    ],
)
async def test_invalid_page_arguments_are_bad_input(
    sqlite_api: Api, arguments: dict[str, Any]
) -> None:
    result = await sqlite_api.ask(LIST, arguments, token=await sqlite_api.log_in(ADMIN))
    assert denials(result) == [{"code": "BAD_USER_INPUT"}]


async def test_integer_beyond_32_bits_is_bad_input(api: Api, admin: str) -> None:
    result = await api.ask(LIST, {"first": 2**40}, token=admin)
    assert denials(result) == [{"code": "BAD_USER_INPUT"}]


async def test_page_has_20_items_by_default(api: Api, admin: str) -> None:
    create = "mutation C($n: String!) { createUser(input: {username: $n}) { user { id } } }"
    for number in range(20):
        await api.data(create, {"n": f"user{number}"}, token=admin)
    page = await list_page(api, admin)
    assert len(page["nodes"]) == 20
    assert page["pageInfo"]["hasNextPage"] is True


async def test_user_filters_are_combined(api: Api, admin: str) -> None:
    query = '{ users(search: "a", role: "user", disabled: false) { nodes { username } } }'
    data = await api.data(query, token=admin)
    assert names(data["users"]) == ["alice"]


@pytest.mark.parametrize("identifier", ["x", "", "\u0000", "01900000-0000-7000-8000-000000000001"])
async def test_unknown_user_is_null(api: Api, admin: str, identifier: str) -> None:
    query = "query U($id: ID!) { user(id: $id) { id } }"
    assert await api.data(query, {"id": identifier}, token=admin) == {"user": None}


async def test_roles_are_sorted_by_name_with_permissions(api: Api, admin: str) -> None:
    roles = (await api.data("{ roles { name permissions } }", token=admin))["roles"]
    assert [role["name"] for role in roles] == ["admin", "auditor", "support", "user"]
    assert roles[1]["permissions"] == ["audit:read", "users:read"]


async def test_parallel_fields_do_not_interfere(api: Api, admin: str) -> None:
    query = "{ a: users { nodes { id } } b: users { nodes { id } } c: roles { id } d: me { id } }"
    data = await api.data(query, token=admin)
    assert data["a"] == data["b"]
