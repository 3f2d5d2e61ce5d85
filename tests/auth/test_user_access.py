"""What operators change about users' access, and which permissions that needs."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest

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


@dataclass
class Operator:
    """An actor with exactly these permissions."""

    permissions: frozenset[str]
    user_id: UUID | None = field(default_factory=uuid4)
    client: Client = field(default_factory=Client)
    session_id: None = None


def operator(*permissions: str) -> Operator:
    return Operator(frozenset(permissions))


async def add_operator(auth: Auth, *permissions: str) -> Operator:
    """Creates a user whose only role has exactly these permissions."""
    role = await create_role(auth, CONSOLE, RoleForm("clerk", "", permissions))
    user = await create_user(auth, CONSOLE, NewUserForm("clerk"), [role.id])
    return Operator(user.permissions, user.id)


async def token_of(auth: Auth, username: str) -> str:
    password = {account.username: account.password for account in ALL_ACCOUNTS}[username]
    signed_in = await log_in(auth, Client(), username=username, password=password)
    return signed_in.access_token.text


async def get(auth: Auth, username: str) -> UserRecord:
    user = await find_user_by_name(auth, username)
    assert user is not None
    return user


async def role_ids(auth: Auth, *names: str) -> list[UUID]:
    return [role.id for role in await find_roles_by_name(auth, names)]


async def test_create_user_with_roles(auth: Auth) -> None:
    form = NewUserForm("dora", password=PASSWORD)
    user = await create_user(auth, CONSOLE, form, await role_ids(auth, "support", "user"))
    assert [role.name for role in user.roles] == ["support", "user"]
    assert user.permissions == {"users:read", "sessions:revoke"}


async def test_create_user_without_roles(auth: Auth) -> None:
    clerk = await add_operator(auth, "users:write")
    user = await create_user(auth, clerk, NewUserForm("dora"), [])
    assert (user.roles, user.permissions) == ((), frozenset())


async def test_create_user_with_an_unknown_role_is_refused(auth: Auth) -> None:
    ids = [*await role_ids(auth, "user"), uuid4()]
    with pytest.raises(RoleNotFound):
        await create_user(auth, CONSOLE, NewUserForm("dora"), ids)
    assert await find_user_by_name(auth, "dora") is None


async def test_duplicate_role_is_granted_once(auth: Auth) -> None:
    ids = await role_ids(auth, "support") * 2
    user = await create_user(auth, CONSOLE, NewUserForm("dora"), ids)
    assert [role.name for role in user.roles] == ["support"]
    user = await set_user_roles(auth, CONSOLE, user.id, ids)
    assert [role.name for role in user.roles] == ["support"]


async def test_set_roles_replaces_all_roles(auth: Auth) -> None:
    alice = await get(auth, "alice")
    await set_user_roles(auth, CONSOLE, alice.id, await role_ids(auth, "support", "auditor"))
    assert [r.name for r in (await get(auth, "alice")).roles] == ["auditor", "support"]
    assert (await set_user_roles(auth, CONSOLE, alice.id, [])).roles == ()


async def test_role_with_the_permissions_of_the_actor_may_be_granted(auth: Auth) -> None:
    clerk = await add_operator(auth, "users:write", "roles:write", "users:read", "sessions:revoke")
    alice, ids = await get(auth, "alice"), await role_ids(auth, "support", "user")
    assert len((await set_user_roles(auth, clerk, alice.id, ids)).roles) == 2


async def test_refused_change_changes_nothing(auth: Auth) -> None:
    clerk = await add_operator(auth, "users:write", "roles:write")
    sophie = await get(auth, "sophie")
    with pytest.raises(Forbidden):
        await set_user_roles(auth, clerk, sophie.id, [])
    with pytest.raises(Forbidden):
        await disable_user(auth, clerk, sophie.id)
    assert await get(auth, "sophie") == sophie


async def test_granted_role_counts_from_the_next_request(auth: Auth) -> None:
    token = await token_of(auth, "alice")
    alice = await get(auth, "alice")
    await set_user_roles(auth, CONSOLE, alice.id, await role_ids(auth, "auditor"))
    assert (await get_viewer(auth, Client(), token)).permissions == {"users:read", "audit:read"}
    await set_user_roles(auth, CONSOLE, alice.id, [])
    assert (await get_viewer(auth, Client(), token)).permissions == frozenset()


async def test_disabling_ends_access_immediately(auth: Auth) -> None:
    token, of_bob = await token_of(auth, "alice"), await token_of(auth, "bob")
    alice = await get(auth, "alice")
    await disable_user(auth, CONSOLE, alice.id)
    with pytest.raises(UserDisabled):
        await get_viewer(auth, Client(), token)
    await enable_user(auth, CONSOLE, alice.id)
    with pytest.raises(SessionRevoked):
        await get_viewer(auth, Client(), token)
    assert (await get_viewer(auth, Client(), of_bob)).user.username == "bob"


async def test_disabling_again_keeps_the_first_time(auth: Auth, clock: ManualClock) -> None:
    alice, first = await get(auth, "alice"), clock.now()
    await disable_user(auth, CONSOLE, alice.id)
    clock.tick(hours=1)
    await disable_user(auth, CONSOLE, alice.id)
    async with auth.db.read() as session:
        assert (await session.get_one(User, alice.id)).disabled_at == first


async def test_granting_more_than_the_actor_has_is_refused(auth: Auth) -> None:
    clerk = await add_operator(auth, "users:write", "roles:write", "users:read")
    ids = await role_ids(auth, "support")
    with pytest.raises(Forbidden) as denied:
        await create_user(auth, clerk, NewUserForm("dora"), ids)
    assert denied.value.required == "sessions:revoke"
    with pytest.raises(Forbidden):
        await set_user_roles(auth, clerk, (await get(auth, "alice")).id, ids)


async def test_changing_a_more_powerful_user_is_refused(auth: Auth) -> None:
    clerk = await add_operator(auth, "users:write", "roles:write")
    sophie = await get(auth, "sophie")
    for act in (
        set_user_roles(auth, clerk, sophie.id, []),
        disable_user(auth, clerk, sophie.id),
        enable_user(auth, clerk, sophie.id),
    ):
        with pytest.raises(Forbidden):
            await act


async def test_every_operation_needs_its_permission(auth: Auth) -> None:
    nobody, alice = operator(), await get(auth, "alice")
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


async def test_users_may_read_themselves(auth: Auth) -> None:
    alice = await get(auth, "alice")
    assert await find_user(auth, Operator(frozenset(), alice.id), alice.id) == alice


async def test_unknown_users_and_roles_are_refused(auth: Auth) -> None:
    alice = await get(auth, "alice")
    with pytest.raises(UserNotFound):
        await disable_user(auth, CONSOLE, uuid4())
    with pytest.raises(RoleNotFound):
        await set_user_roles(auth, CONSOLE, alice.id, [uuid4()])
    with pytest.raises(RoleNotFound):
        await find_roles_by_name(auth, ["king"])
    assert await find_user(auth, CONSOLE, uuid4()) is None


async def test_disabling_and_enabling_can_be_repeated(auth: Auth) -> None:
    alice = await get(auth, "alice")
    for _ in range(2):
        assert (await disable_user(auth, CONSOLE, alice.id)).disabled
    assert not (await enable_user(auth, CONSOLE, alice.id)).disabled
