"""Role names: tokens and guards trust them, so they are reserved and fixed."""

import asyncio
from pathlib import Path

import pytest
import strawberry

from auth.clients import Client
from auth.errors import Forbidden, Refusals, RoleBuiltIn, RoleNameFixed, RoleNameTaken
from auth.records import RoleRecord
from auth.role_edits import RoleForm, create_role, delete_role, update_role
from auth.roles import find_roles_by_name
from auth.user_access import disable_user, set_user_roles
from auth.user_creation import NewUserForm, create_user
from auth.users import find_user_by_name
from auth.viewers import Viewer, get_viewer
from auth.wiring import Auth
from postern import HasRole
from tests.accounts import ALICE, BOB, OPERATOR
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.conftest import make_settings


async def with_role(api: Api, role: RoleRecord) -> Viewer:
    """Returns the viewer bob, who has only this role."""
    bob = await find_user_by_name(api.auth, BOB.username)
    assert bob
    await set_user_roles(api.auth, OPERATOR, bob.id, [role.id])
    return await get_viewer(api.auth, Client(), await api.log_in(BOB))


async def make_clerk(api: Api, *permissions: str) -> Viewer:
    """Returns the viewer bob, who has `roles:write` and these permissions."""
    form = RoleForm("clerk", "", ["roles:write", *permissions])
    return await with_role(api, await create_role(api.auth, OPERATOR, form))


async def make(auth: Auth, *permissions: str) -> RoleRecord:
    return await create_role(auth, OPERATOR, RoleForm("payroll", "", permissions))


async def test_stronger_role_cannot_be_renamed_or_described(api: Api) -> None:
    actor, role = await make_clerk(api), await make(api.auth, "users:write")
    for form in (RoleForm(name="other"), RoleForm(description="mine"), RoleForm()):
        with pytest.raises(Forbidden):
            await update_role(api.auth, actor, role.id, form)


async def test_role_name_is_fixed_even_for_an_admin(auth: Auth) -> None:
    role = await make(auth)
    with pytest.raises(RoleNameFixed):
        await update_role(auth, OPERATOR, role.id, RoleForm(name="other"))


async def test_name_of_deleted_role_needs_its_permissions(api: Api) -> None:
    auth, actor = api.auth, await make_clerk(api)
    await delete_role(auth, OPERATOR, (await make(auth, "users:write")).id)
    with pytest.raises(Forbidden) as denied:
        await create_role(auth, actor, RoleForm("payroll", "", []))
    assert denied.value.required == "users:write"
    # A new role with this name and without permissions does not change that.
    await delete_role(auth, OPERATOR, (await make(auth)).id)
    with pytest.raises(Forbidden):
        await create_role(auth, actor, RoleForm("payroll", "", []))


async def test_name_of_deleted_role_can_be_used_with_its_permissions(api: Api) -> None:
    auth, actor = api.auth, await make_clerk(api, "users:write")
    await delete_role(auth, OPERATOR, (await make(auth, "users:write")).id)
    role = await create_role(auth, actor, RoleForm("payroll", "", []))
    assert role.permissions == frozenset()


async def test_name_cannot_be_used_while_its_role_is_deleted(api: Api) -> None:
    auth, actor = api.auth, await make_clerk(api)
    for _ in range(5):
        role = await make(auth, "users:write")
        outcomes = await asyncio.gather(
            delete_role(auth, OPERATOR, role.id),
            *(create_role(auth, actor, RoleForm("payroll", "", [])) for _ in range(3)),
            return_exceptions=True,
        )
        assert all(isinstance(o, Forbidden | RoleNameTaken) for o in outcomes[1:])


@pytest.mark.parametrize("name", ["admin", "support", "auditor", "user"])
async def test_built_in_names_are_reserved(auth: Auth, name: str) -> None:
    (role,) = await find_roles_by_name(auth, [name])
    with pytest.raises(RoleBuiltIn):
        await delete_role(auth, OPERATOR, role.id)
    with pytest.raises(RoleBuiltIn):
        await update_role(auth, OPERATOR, role.id, RoleForm(name="other"))
    with pytest.raises(RoleNameTaken):
        await create_role(auth, OPERATOR, RoleForm(name, "", []))


@pytest.mark.parametrize(
    "name",
    ["Admin", "ADMIN", "аdmin", "admin ", " admin", "admin\n", "ad\u200bmin", "ａdmin", "admın"],
)
async def test_names_that_look_like_a_built_in_name_are_refused(auth: Auth, name: str) -> None:
    with pytest.raises(Refusals) as refused:
        await create_role(auth, OPERATOR, RoleForm(name, "", []))
    assert [refusal.code for refusal in refused.value.refusals] == ["ROLE_NAME_INVALID"]


async def test_role_with_wildcard_needs_the_wildcard(api: Api) -> None:
    # All single permissions are less than `*`, which includes future permissions.
    everything = ("audit:read", "sessions:revoke", "tokens:introspect", "users:read", "users:write")
    actor = await make_clerk(api, *everything)
    (admin,) = await find_roles_by_name(api.auth, ["admin"])
    with pytest.raises(Forbidden):
        await create_user(api.auth, actor, NewUserForm("dora"), [admin.id])


# Roles that a permission class requires


@strawberry.type
class Vault:
    """Fields that require a role."""

    @strawberry.field(permission_classes=[HasRole("treasurer")])
    def gold(self) -> str | None:
        return "gold"

    @strawberry.field(permission_classes=[HasRole("user")])
    def copper(self) -> str | None:
        return "copper"


async def test_role_that_a_guard_requires_is_assigned_only_by_its_users(
    database_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    async with serving(make_settings(database_url, tmp_path), clock, queries=[Vault]) as api:
        auth = api.auth
        actor = await make_clerk(api, "users:write")
        alice = await find_user_by_name(auth, ALICE.username)
        assert alice
        with pytest.raises(Forbidden) as denied:
            await create_role(auth, actor, RoleForm("treasurer", "", []))
        assert denied.value.required == "role treasurer"
        role = await create_role(auth, OPERATOR, RoleForm("treasurer", "", []))
        for act in (
            set_user_roles(auth, actor, actor.user_id, [role.id]),
            create_user(auth, actor, NewUserForm("dora"), [role.id]),
            update_role(auth, actor, role.id, RoleForm(description="mine")),
            delete_role(auth, actor, role.id),
        ):
            with pytest.raises(Forbidden):
                await act
        await set_user_roles(auth, OPERATOR, alice.id, [role.id])
        with pytest.raises(Forbidden):
            await disable_user(auth, actor, alice.id)
        assert await api.data("{ gold }", token=await api.log_in(ALICE)) == {"gold": "gold"}


async def test_default_role_is_not_a_privilege(
    sqlite_url: str, tmp_path: Path, clock: ManualClock
) -> None:
    async with serving(make_settings(sqlite_url, tmp_path), clock, queries=[Vault]) as api:
        actor = await make_clerk(api, "users:write")
        alice = await find_user_by_name(api.auth, ALICE.username)
        assert alice
        assert (await disable_user(api.auth, actor, alice.id)).disabled
