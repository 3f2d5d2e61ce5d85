"""The list of users: pages, search and filters."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import delete

from auth.list_pages import Page
from auth.permissions import Console, PermissionRegistry
from auth.records import UserRecord
from auth.user_access import disable_user
from auth.user_creation import NewUserForm, create_user
from auth.user_list import UserFilter, list_users
from auth.users import find_user_by_name
from auth.wiring import Auth
from models.user import User

CONSOLE = Console(PermissionRegistry())
PASSWORD = "a password to begin with"
NEWEST_FIRST = ["audrey", "sophie", "admin", "bob", "alice"]

Between = Callable[[], Awaitable[None]]
Walk = Callable[..., Awaitable[list[str]]]


async def do_nothing() -> None:
    """Does nothing between two pages."""


async def get(auth: Auth, username: str) -> UserRecord:
    user = await find_user_by_name(auth, username)
    assert user is not None
    return user


async def all_names(auth: Auth, page: Page, **filters: Any) -> list[str]:
    found = await list_users(auth, CONSOLE, page=page, filters=UserFilter(**filters))
    return [user.username for user in found.users]


async def walk(
    auth: Auth, limit: int, *, between: Between = do_nothing, **filters: Any
) -> list[str]:
    """Returns all usernames, page by page from the newest."""
    seen: list[str] = []
    page = Page(limit)
    while True:
        found = await list_users(auth, CONSOLE, page=page, filters=UserFilter(**filters))
        assert found.has_previous == (page.after is not None)
        assert len(found.users) <= limit
        seen += [user.username for user in found.users]
        if not found.has_next:
            return seen
        page = Page(limit, after=found.users[-1].id)
        await between()


async def walk_back(
    auth: Auth, limit: int, *, between: Between = do_nothing, **filters: Any
) -> list[str]:
    """Returns all usernames, page by page from the oldest."""
    seen: list[str] = []
    page = Page(limit, backwards=True)
    while True:
        found = await list_users(auth, CONSOLE, page=page, filters=UserFilter(**filters))
        assert found.has_next == (page.before is not None)
        assert len(found.users) <= limit
        seen = [user.username for user in found.users] + seen
        if not found.has_previous:
            return seen
        page = Page(limit, before=found.users[0].id, backwards=True)
        await between()


@pytest.mark.parametrize("walk_all", [walk, walk_back])
async def test_pages_of_any_size_list_each_user_once(auth: Auth, walk_all: Walk) -> None:
    for limit in range(1, 7):
        assert await walk_all(auth, limit) == NEWEST_FIRST


@pytest.mark.parametrize("walk_all", [walk, walk_back])
async def test_pages_of_a_filtered_list_continue(auth: Auth, walk_all: Walk) -> None:
    for limit in (1, 2, 3):
        assert await walk_all(auth, limit, role="user") == ["bob", "alice"]
        assert await walk_all(auth, limit, disabled=False) == NEWEST_FIRST
        assert await walk_all(auth, limit, search="a") == ["audrey", "admin", "alice"]


async def test_new_user_does_not_move_others_between_pages(auth: Auth) -> None:
    names = iter("abcdefghij")

    async def register_user() -> None:
        await create_user(auth, CONSOLE, NewUserForm(f"newcomer-{next(names)}"), [])

    assert await walk(auth, 2, between=register_user) == NEWEST_FIRST
    backwards = await walk_back(auth, 3, between=register_user)
    assert backwards[-5:] == NEWEST_FIRST
    assert len(set(backwards)) == len(backwards)


async def test_deleted_user_does_not_move_others_between_pages(auth: Auth) -> None:
    first = await list_users(auth, CONSOLE, page=Page(2), filters=UserFilter())
    async with auth.db.begin() as tx:
        await tx.execute(delete(User).where(User.id == first.users[-1].id))
    after = Page(2, after=first.users[-1].id)
    assert await all_names(auth, after) == ["admin", "bob"]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("a", ["audrey", "admin", "alice"]),
        ("AL", ["alice"]),
        ("alice@ex", ["alice"]),
        ("%", []),
        ("a%", []),
        ("_lice", []),
        ("_", []),
        ("a_", []),
        ("\\", []),
        ("'", []),
        ("", NEWEST_FIRST),
        ("\uff21\uff2c", ["alice"]),
        ("nul\0", []),
        ("half \ud800", []),
        ("\U0010ffff", []),
        ("x" * 1_000_000, []),
        ("lice", []),
    ],
)
async def test_search_matches_the_start_of_names(auth: Auth, search: str, found: list[str]) -> None:
    assert await all_names(auth, Page(limit=10), search=search) == found


async def test_search_treats_wildcards_as_text(auth: Auth) -> None:
    for name in ("a_b", "axb", "a.b"):
        await create_user(auth, CONSOLE, NewUserForm(name), [])
    assert await all_names(auth, Page(10), search="a_") == ["a_b"]


async def test_list_can_be_filtered(auth: Auth) -> None:
    await disable_user(auth, CONSOLE, (await get(auth, "bob")).id)
    assert await all_names(auth, Page(10), disabled=True) == ["bob"]
    assert "bob" not in await all_names(auth, Page(10), disabled=False)
    assert await all_names(auth, Page(10), role="user") == ["bob", "alice"]
    assert await all_names(auth, Page(10), role="user", disabled=True, search="b") == ["bob"]
    for nothing in ("king", "nul\0", "half \ud800"):
        assert await all_names(auth, Page(10), role=nothing) == []
