"""Roles: their permissions, who may assign them, and the last active admin."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from auth.authorization import Authority, check_may_grant
from auth.clients import Client
from auth.errors import Forbidden, LastAdmin, RoleNotFound
from auth.permissions import BUILT_IN_PERMISSIONS, Console, PermissionRegistry
from auth.records import UserRecord
from auth.roles import (
    ADMIN,
    check_not_last_admin,
    find_roles_by_name,
    get_roles,
    list_roles,
)
from auth.user_access import disable_user, enable_user, set_user_roles
from auth.users import find_user_by_name
from auth.wiring import Auth
from models.role import Role
from models.user import User
from tests.api import Api

CONSOLE = Console(PermissionRegistry())


@pytest.fixture
def sqlite(sqlite_api: Api) -> Auth:
    """For tests that do not depend on the database."""
    return sqlite_api.auth


async def id_of(auth: Auth, username: str) -> UUID:
    user = await find_user_by_name(auth, username)
    assert user is not None
    return user.id


async def role_ids(auth: Auth, *names: str) -> list[UUID]:
    return [role.id for role in await find_roles_by_name(auth, names)]


async def demote(auth: Auth, user_id: UUID) -> UserRecord:
    return await set_user_roles(auth, CONSOLE, user_id, [])


async def disable(auth: Auth, user_id: UUID) -> UserRecord:
    return await disable_user(auth, CONSOLE, user_id)


async def promote(auth: Auth, username: str) -> UUID:
    user_id = await id_of(auth, username)
    await set_user_roles(auth, CONSOLE, user_id, await role_ids(auth, ADMIN))
    return user_id


async def active_admins(auth: Auth) -> int:
    query = select(User.id).join(User.roles).where(Role.name == ADMIN, User.disabled_at.is_(None))
    async with auth.db.read() as session:
        return len(list(await session.scalars(query)))


Removal = Callable[[Auth, UUID], Awaitable[UserRecord]]
REMOVALS = [demote, disable]


async def test_roles_are_listed_by_name_with_permissions(auth: Auth) -> None:
    roles = {role.name: role.permissions for role in await list_roles(auth, CONSOLE)}
    assert list(roles) == ["admin", "auditor", "support", "user"]
    assert roles["admin"] == BUILT_IN_PERMISSIONS.keys()
    assert roles["auditor"] == {"users:read", "audit:read"}
    assert roles["user"] == frozenset()


@pytest.mark.parametrize("names", [["king"], ["user", "king"], ["User"], ["%"]])
async def test_unknown_role_names_are_refused(auth: Auth, names: list[str]) -> None:
    with pytest.raises(RoleNotFound):
        await find_roles_by_name(auth, names)


async def test_get_roles_raises_if_one_role_is_missing(sqlite: Auth) -> None:
    ids = await role_ids(sqlite, "user", "support")
    async with sqlite.db.read() as session:
        found = await get_roles(session, sqlite.permissions, [*ids, *ids])
        assert sorted(role.name for role in found) == ["support", "user"]
        assert await get_roles(session, sqlite.permissions, []) == []
        with pytest.raises(RoleNotFound):
            await get_roles(session, sqlite.permissions, [*ids, uuid4()])


async def test_role_cannot_be_granted_without_its_permissions(sqlite: Auth) -> None:
    support, admin = await find_roles_by_name(sqlite, ["support", "admin"])
    roles = {role.name: role for role in (support, admin)}
    held = frozenset({"users:read", "sessions:revoke", "roles:write"})
    clerk = Authority(uuid4(), None, Client(), permissions=held, privileges=held)
    check_may_grant(clerk, [roles["support"]])
    with pytest.raises(Forbidden) as denied:
        check_may_grant(clerk, [roles["support"], roles["admin"]])
    assert denied.value.required == "audit:read"


@pytest.mark.parametrize("remove", REMOVALS)
async def test_last_admin_cannot_be_removed(auth: Auth, remove: Removal) -> None:
    with pytest.raises(LastAdmin):
        await remove(auth, await id_of(auth, "admin"))
    assert await active_admins(auth) == 1


@pytest.mark.parametrize("remove", REMOVALS)
async def test_disabled_admins_do_not_count(auth: Auth, remove: Removal) -> None:
    alice = await promote(auth, "alice")
    await disable(auth, alice)
    with pytest.raises(LastAdmin):
        await remove(auth, await id_of(auth, "admin"))
    await demote(auth, alice)
    await enable_user(auth, CONSOLE, alice)
    assert await active_admins(auth) == 1


@pytest.mark.parametrize("remove", REMOVALS)
async def test_admin_can_be_removed_while_another_is_active(auth: Auth, remove: Removal) -> None:
    await promote(auth, "alice")
    await remove(auth, await id_of(auth, "admin"))
    assert await active_admins(auth) == 1


async def test_last_admin_can_get_more_roles(auth: Auth) -> None:
    admin, ids = await id_of(auth, "admin"), await role_ids(auth, "admin", "support")
    user = await set_user_roles(auth, CONSOLE, admin, ids)
    assert [role.name for role in user.roles] == ["admin", "support"]


@pytest.mark.parametrize("first", REMOVALS)
@pytest.mark.parametrize("second", REMOVALS)
async def test_concurrent_removals_leave_one_admin(
    auth: Auth, first: Removal, second: Removal
) -> None:
    admin, alice = await id_of(auth, "admin"), await promote(auth, "alice")
    outcomes = await asyncio.gather(first(auth, admin), second(auth, alice), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LastAdmin", "UserRecord"]
    assert await active_admins(auth) == 1


async def test_concurrent_removals_of_admins_wait_for_each_other(auth: Auth) -> None:
    admin, alice = await id_of(auth, "admin"), await promote(auth, "alice")
    user = await find_user_by_name(auth, "admin")
    assert user
    async with auth.db.begin() as tx:
        await check_not_last_admin(auth.db, tx, user)
        other = asyncio.create_task(demote(auth, alice))
        await asyncio.sleep(0.1)
        assert not other.done()
        (await tx.get_one(User, admin)).disabled_at = auth.clock.now()
    with pytest.raises(LastAdmin):
        await other
