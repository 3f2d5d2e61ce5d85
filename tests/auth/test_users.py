"""What operators do with accounts, and what nobody can do."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete

from auth.clients import Client
from auth.errors import Forbidden, RoleNotFound, SessionRevoked, UserDisabled, UserNotFound
from auth.list_pages import Page
from auth.login import log_in
from auth.permissions import Console, PermissionRegistry
from auth.records import UserRecord
from auth.role_edits import RoleForm, create_role
from auth.roles import find_roles_by_name, list_roles
from auth.user_access import disable_user, enable_user, set_user_roles
from auth.user_creation import NewUserForm, create_user
from auth.user_list import UserFilter, list_users
from auth.users import find_user, find_user_by_name
from auth.viewers import get_viewer
from auth.wiring import Auth
from models.user import User
from tests.accounts import ALL_ACCOUNTS
from tests.clock import ManualClock

CONSOLE = Console(PermissionRegistry())
PASSWORD = "a password to begin with"
NEWEST_FIRST = ["audrey", "sophie", "admin", "bob", "alice"]

Meanwhile = Callable[[], Awaitable[None]]
Walk = Callable[..., Awaitable[list[str]]]


async def rest() -> None:
    """Nothing happens meanwhile."""


@dataclass
class Operator:
    """Somebody with exactly these permissions."""

    permissions: frozenset[str]
    user_id: UUID | None = field(default_factory=uuid4)
    client: Client = field(default_factory=Client)
    session_id: None = None


def operator(*permissions: str) -> Operator:
    return Operator(frozenset(permissions))


async def add_operator(auth: Auth, *permissions: str) -> Operator:
    """An account whose only role permits exactly this."""
    role = await create_role(auth, CONSOLE, RoleForm("clerk", "", permissions))
    user = await create_user(auth, CONSOLE, NewUserForm("clerk"), [role.id])
    return Operator(user.permissions, user.id)


async def token_of(auth: Auth, username: str) -> str:
    password = {account.username: account.password for account in ALL_ACCOUNTS}[username]
    signed_in = await log_in(auth, Client(), username=username, password=password)
    return signed_in.access_token.text


async def named(auth: Auth, username: str) -> UserRecord:
    user = await find_user_by_name(auth, username)
    assert user is not None
    return user


async def role_ids(auth: Auth, *names: str) -> list[UUID]:
    return [role.id for role in await find_roles_by_name(auth, names)]


async def all_names(auth: Auth, page: Page, **filters: Any) -> list[str]:
    found = await list_users(auth, CONSOLE, page=page, filters=UserFilter(**filters))
    return [user.username for user in found.users]


async def test_an_operator_creates_an_account_with_roles(auth: Auth) -> None:
    form = NewUserForm("dora", password=PASSWORD)
    user = await create_user(auth, CONSOLE, form, await role_ids(auth, "support", "user"))
    assert [role.name for role in user.roles] == ["support", "user"]
    assert user.permissions == {"users:read", "sessions:revoke"}


async def test_an_account_may_be_created_without_roles(auth: Auth) -> None:
    clerk = await add_operator(auth, "users:write")
    user = await create_user(auth, clerk, NewUserForm("dora"), [])
    assert (user.roles, user.permissions) == ((), frozenset())


async def test_an_account_of_an_unknown_role_is_not_created(auth: Auth) -> None:
    ids = [*await role_ids(auth, "user"), uuid4()]
    with pytest.raises(RoleNotFound):
        await create_user(auth, CONSOLE, NewUserForm("dora"), ids)
    assert await find_user_by_name(auth, "dora") is None


async def test_a_role_that_is_named_twice_is_given_once(auth: Auth) -> None:
    ids = await role_ids(auth, "support") * 2
    user = await create_user(auth, CONSOLE, NewUserForm("dora"), ids)
    assert [role.name for role in user.roles] == ["support"]
    user = await set_user_roles(auth, CONSOLE, user.id, ids)
    assert [role.name for role in user.roles] == ["support"]


async def test_setting_roles_replaces_all_that_there_were(auth: Auth) -> None:
    alice = await named(auth, "alice")
    await set_user_roles(auth, CONSOLE, alice.id, await role_ids(auth, "support", "auditor"))
    assert [r.name for r in (await named(auth, "alice")).roles] == ["auditor", "support"]
    assert (await set_user_roles(auth, CONSOLE, alice.id, [])).roles == ()


async def test_the_very_permissions_that_one_has_may_be_given(auth: Auth) -> None:
    clerk = await add_operator(auth, "users:write", "roles:write", "users:read", "sessions:revoke")
    alice, ids = await named(auth, "alice"), await role_ids(auth, "support", "user")
    assert len((await set_user_roles(auth, clerk, alice.id, ids)).roles) == 2


async def test_what_was_refused_has_changed_nothing(auth: Auth) -> None:
    clerk = await add_operator(auth, "users:write", "roles:write")
    sophie = await named(auth, "sophie")
    with pytest.raises(Forbidden):
        await set_user_roles(auth, clerk, sophie.id, [])
    with pytest.raises(Forbidden):
        await disable_user(auth, clerk, sophie.id)
    assert await named(auth, "sophie") == sophie


async def test_a_role_counts_from_the_next_request_on(auth: Auth) -> None:
    token = await token_of(auth, "alice")
    alice = await named(auth, "alice")
    await set_user_roles(auth, CONSOLE, alice.id, await role_ids(auth, "auditor"))
    assert (await get_viewer(auth, Client(), token)).permissions == {"users:read", "audit:read"}
    await set_user_roles(auth, CONSOLE, alice.id, [])
    assert (await get_viewer(auth, Client(), token)).permissions == frozenset()


async def test_disabling_ends_a_persons_access_at_once_and_for_good(auth: Auth) -> None:
    token, of_bob = await token_of(auth, "alice"), await token_of(auth, "bob")
    alice = await named(auth, "alice")
    await disable_user(auth, CONSOLE, alice.id)
    with pytest.raises(UserDisabled):
        await get_viewer(auth, Client(), token)
    await enable_user(auth, CONSOLE, alice.id)
    with pytest.raises(SessionRevoked):
        await get_viewer(auth, Client(), token)
    assert (await get_viewer(auth, Client(), of_bob)).user.username == "bob"


async def test_disabling_again_keeps_the_time_of_the_first(auth: Auth, clock: ManualClock) -> None:
    alice, first = await named(auth, "alice"), clock.now()
    await disable_user(auth, CONSOLE, alice.id)
    clock.tick(hours=1)
    await disable_user(auth, CONSOLE, alice.id)
    async with auth.db.read() as session:
        assert (await session.get_one(User, alice.id)).disabled_at == first


async def test_nobody_gives_more_than_they_have(auth: Auth) -> None:
    clerk = await add_operator(auth, "users:write", "roles:write", "users:read")
    ids = await role_ids(auth, "support")
    with pytest.raises(Forbidden) as denied:
        await create_user(auth, clerk, NewUserForm("dora"), ids)
    assert denied.value.required == "sessions:revoke"
    with pytest.raises(Forbidden):
        await set_user_roles(auth, clerk, (await named(auth, "alice")).id, ids)


async def test_nobody_takes_from_the_more_powerful(auth: Auth) -> None:
    clerk = await add_operator(auth, "users:write", "roles:write")
    sophie = await named(auth, "sophie")
    for act in (
        set_user_roles(auth, clerk, sophie.id, []),
        disable_user(auth, clerk, sophie.id),
        enable_user(auth, clerk, sophie.id),
    ):
        with pytest.raises(Forbidden):
            await act


async def test_every_act_asks_for_its_permission(auth: Auth) -> None:
    nobody, alice = operator(), await named(auth, "alice")
    acts = [
        list_users(auth, nobody, page=Page(1), filters=UserFilter()),
        list_roles(auth, nobody),
        find_user(auth, nobody, alice.id),
        create_user(auth, nobody, NewUserForm("dora"), []),
        create_user(auth, operator("users:write"), NewUserForm("dora"), [uuid4()]),
        set_user_roles(auth, nobody, alice.id, []),
        disable_user(auth, nobody, alice.id),
        enable_user(auth, nobody, alice.id),
    ]
    for outcome in await asyncio.gather(*acts, return_exceptions=True):
        assert isinstance(outcome, Forbidden)


async def test_everybody_may_look_themselves_up(auth: Auth) -> None:
    alice = await named(auth, "alice")
    assert await find_user(auth, Operator(frozenset(), alice.id), alice.id) == alice


async def test_what_is_not_there_is_told(auth: Auth) -> None:
    alice = await named(auth, "alice")
    with pytest.raises(UserNotFound):
        await disable_user(auth, CONSOLE, uuid4())
    with pytest.raises(RoleNotFound):
        await set_user_roles(auth, CONSOLE, alice.id, [uuid4()])
    with pytest.raises(RoleNotFound):
        await find_roles_by_name(auth, ["king"])
    assert await find_user(auth, CONSOLE, uuid4()) is None


async def test_disabling_twice_and_enabling_are_harmless(auth: Auth) -> None:
    alice = await named(auth, "alice")
    for _ in range(2):
        assert (await disable_user(auth, CONSOLE, alice.id)).disabled
    assert not (await enable_user(auth, CONSOLE, alice.id)).disabled


async def walk(auth: Auth, limit: int, *, meanwhile: Meanwhile = rest, **filters: Any) -> list[str]:
    """Everybody's names, page by page from the newest."""
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
        await meanwhile()


async def walk_back(
    auth: Auth, limit: int, *, meanwhile: Meanwhile = rest, **filters: Any
) -> list[str]:
    """The same, page by page from the oldest."""
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
        await meanwhile()


@pytest.mark.parametrize("walk_all", [walk, walk_back])
async def test_pages_of_any_size_see_everybody_once_newest_first(
    auth: Auth, walk_all: Walk
) -> None:
    for limit in range(1, 7):
        assert await walk_all(auth, limit) == NEWEST_FIRST


@pytest.mark.parametrize("walk_all", [walk, walk_back])
async def test_pages_of_a_selection_go_on_where_they_stopped(auth: Auth, walk_all: Walk) -> None:
    for limit in (1, 2, 3):
        assert await walk_all(auth, limit, role="user") == ["bob", "alice"]
        assert await walk_all(auth, limit, disabled=False) == NEWEST_FIRST
        assert await walk_all(auth, limit, search="a") == ["audrey", "admin", "alice"]


async def test_who_registers_while_pages_are_turned_moves_nobody(auth: Auth) -> None:
    names = iter("abcdefghij")

    async def somebody_registers() -> None:
        await create_user(auth, CONSOLE, NewUserForm(f"newcomer-{next(names)}"), [])

    assert await walk(auth, 2, meanwhile=somebody_registers) == NEWEST_FIRST
    backwards = await walk_back(auth, 3, meanwhile=somebody_registers)
    assert backwards[-5:] == NEWEST_FIRST
    assert len(set(backwards)) == len(backwards)


async def test_who_leaves_while_pages_are_turned_moves_nobody(auth: Auth) -> None:
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
async def test_a_search_is_for_the_beginning_to_the_letter(
    auth: Auth, search: str, found: list[str]
) -> None:
    assert await all_names(auth, Page(limit=10), search=search) == found


async def test_a_search_finds_the_very_signs_that_are_wild_elsewhere(auth: Auth) -> None:
    for name in ("a_b", "axb", "a.b"):
        await create_user(auth, CONSOLE, NewUserForm(name), [])
    assert await all_names(auth, Page(10), search="a_") == ["a_b"]


async def test_the_list_can_be_filtered(auth: Auth) -> None:
    await disable_user(auth, CONSOLE, (await named(auth, "bob")).id)
    assert await all_names(auth, Page(10), disabled=True) == ["bob"]
    assert "bob" not in await all_names(auth, Page(10), disabled=False)
    assert await all_names(auth, Page(10), role="user") == ["bob", "alice"]
    assert await all_names(auth, Page(10), role="user", disabled=True, search="b") == ["bob"]
    for nothing in ("king", "nul\0", "half \ud800"):
        assert await all_names(auth, Page(10), role=nothing) == []
