"""Permissions: those that exist, and who holds them."""

from dataclasses import dataclass
from uuid import UUID

import pytest

from auth.clients import CONSOLE, Client
from auth.errors import Forbidden
from auth.permissions import (
    BUILT_IN_PERMISSIONS,
    EVERYTHING,
    Console,
    PermissionRegistry,
    check_may,
    may,
)

REGISTRY = PermissionRegistry({"notes:read": "Read notes."})


@dataclass
class Clerk:
    permissions: frozenset[str]
    user_id: UUID | None = None
    session_id: UUID | None = None
    client: Client = CONSOLE


@pytest.mark.parametrize("held", [[], ["users:write"], ["users"], [EVERYTHING]])
def test_only_the_very_permission_will_do(held: list[str]) -> None:
    clerk = Clerk(frozenset(held))
    assert not may(clerk, "users:read")
    with pytest.raises(Forbidden) as denied:
        check_may(clerk, "users:read")
    assert denied.value.required == "users:read"


def test_who_holds_a_permission_may() -> None:
    clerk = Clerk(frozenset({"users:read"}))
    assert may(clerk, "users:read")
    check_may(clerk, "users:read")


def test_everything_means_all_that_exist_those_of_own_code_too() -> None:
    assert REGISTRY.expand([EVERYTHING]) == {*BUILT_IN_PERMISSIONS, "notes:read"}


@pytest.mark.parametrize("granted", [[], ["gone:now"], ["USERS:READ"], ["users:*"], ["**"]])
def test_a_permission_that_does_not_exist_is_not_granted(granted: list[str]) -> None:
    assert REGISTRY.expand(granted) == frozenset()
    assert REGISTRY.expand([*granted, "users:read"]) == {"users:read"}


def test_the_permissions_are_listed_in_order() -> None:
    assert list(REGISTRY) == sorted({*BUILT_IN_PERMISSIONS, "notes:read"})
    assert "notes:read" in REGISTRY
    assert EVERYTHING not in REGISTRY


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "*",
        "notes",
        "notes:",
        ":read",
        "Notes:read",
        "notes:*",
        "a:b:c",
        "notes: read",
        "notes:read\n",
        "nötes:read",
        "x" * 70 + ":y",
    ],
)
def test_own_permissions_must_look_like_ours(bad: str) -> None:
    with pytest.raises(ValueError, match="resource:action"):
        PermissionRegistry({bad: "?"})


def test_the_console_may_do_everything_as_nobody() -> None:
    console = Console(REGISTRY)
    assert console.user_id is None
    assert console.permissions == frozenset(REGISTRY)
