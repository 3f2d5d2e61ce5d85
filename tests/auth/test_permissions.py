"""Permissions: the registry of all permissions, and checks of an actor."""

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
def test_check_requires_the_exact_permission(held: list[str]) -> None:
    clerk = Clerk(frozenset(held))
    assert not may(clerk, "users:read")
    with pytest.raises(Forbidden) as denied:
        check_may(clerk, "users:read")
    assert denied.value.required == "users:read"


def test_check_passes_with_the_permission() -> None:
    clerk = Clerk(frozenset({"users:read"}))
    assert may(clerk, "users:read")
    check_may(clerk, "users:read")


def test_wildcard_grants_all_permissions_with_custom_ones() -> None:
    assert REGISTRY.expand([EVERYTHING]) == {*BUILT_IN_PERMISSIONS, "notes:read"}


@pytest.mark.parametrize("granted", [[], ["gone:now"], ["USERS:READ"], ["users:*"], ["**"]])
def test_unknown_permissions_are_not_granted(granted: list[str]) -> None:
    assert REGISTRY.expand(granted) == frozenset()
    assert REGISTRY.expand([*granted, "users:read"]) == {"users:read"}


def test_permissions_are_sorted() -> None:
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
def test_invalid_permission_names_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="resource:action"):
        PermissionRegistry({bad: "?"})


def test_console_has_all_permissions_and_no_user() -> None:
    console = Console(REGISTRY)
    assert console.user_id is None
    assert console.permissions == frozenset(REGISTRY)
