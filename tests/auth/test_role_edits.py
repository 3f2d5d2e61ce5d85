"""Custom roles: create, change and delete, within the permissions of the actor."""

import asyncio
from uuid import uuid4

import pytest
from sqlalchemy import func, select

from auth.clients import Client
from auth.errors import (
    EditConflict,
    Forbidden,
    Refusals,
    RoleBuiltIn,
    RoleInUse,
    RoleNameFixed,
    RoleNameTaken,
    RoleNotFound,
)
from auth.records import RoleRecord
from auth.role_edits import RoleForm, create_role, delete_role, update_role
from auth.roles import find_roles_by_name, list_roles
from auth.user_access import set_user_roles
from auth.users import find_user_by_name
from auth.viewers import get_viewer
from auth.wiring import Auth
from models.role import RolePermission
from tests.accounts import ALICE, BOB, OPERATOR
from tests.api import Api

READER = RoleForm("reader", "Reads.", ["users:read"])


async def make(auth: Auth, form: RoleForm = READER) -> RoleRecord:
    return await create_role(auth, OPERATOR, form)


async def test_created_role_has_the_given_permissions(auth: Auth) -> None:
    role = await make(auth)
    assert (role.name, role.built_in, *role.permissions) == ("reader", False, "users:read")
    assert role.name in [found.name for found in await list_roles(auth, OPERATOR)]


@pytest.mark.parametrize(
    ("form", "codes"),
    [
        (RoleForm("", "", []), ["ROLE_NAME_INVALID"]),
        (RoleForm("Reader", "", []), ["ROLE_NAME_INVALID"]),
        (RoleForm("r" * 65, "", []), ["ROLE_NAME_INVALID"]),
        (RoleForm("rd\n", "", []), ["ROLE_NAME_INVALID"]),
        (RoleForm("reader", "d" * 201, []), ["ROLE_DESCRIPTION_INVALID"]),
        (RoleForm("reader", "a\0", []), ["ROLE_DESCRIPTION_INVALID"]),
        (RoleForm("reader", "", ["users:eat"]), ["PERMISSION_UNKNOWN"]),
        (RoleForm("reader", "", ["*"]), ["PERMISSION_UNKNOWN"]),
        (
            RoleForm("?", "\0", ["?"]),
            ["ROLE_NAME_INVALID", "ROLE_DESCRIPTION_INVALID", "PERMISSION_UNKNOWN"],
        ),
    ],
)
async def test_create_role_reports_all_errors_of_the_form(
    auth: Auth, form: RoleForm, codes: list[str]
) -> None:
    with pytest.raises(Refusals) as refused:
        await make(auth, form)
    assert [refusal.code for refusal in refused.value.refusals] == codes


async def test_concurrent_creations_with_one_name_create_one_role(auth: Auth) -> None:
    outcomes = await asyncio.gather(*(make(auth) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(outcome, RoleNameTaken) for outcome in outcomes) == 4


async def test_role_change_applies_at_once_to_its_users(api: Api) -> None:
    role = await make(api.auth)
    alice = await find_user_by_name(api.auth, "alice")
    assert alice
    await set_user_roles(api.auth, OPERATOR, alice.id, [role.id])
    token = await api.log_in(ALICE)
    assert (await get_viewer(api.auth, Client(), token)).permissions == {"users:read"}
    await update_role(api.auth, OPERATOR, role.id, RoleForm(permissions=["audit:read"]))
    assert (await get_viewer(api.auth, Client(), token)).permissions == {"audit:read"}


async def test_role_update_keeps_omitted_fields(auth: Auth) -> None:
    role = await make(auth)
    changed = await update_role(auth, OPERATOR, role.id, RoleForm(description="Looks."))
    assert (changed.name, changed.description, *changed.permissions) == (
        "reader",
        "Looks.",
        "users:read",
    )


async def test_role_name_cannot_be_changed(auth: Auth) -> None:
    role = await make(auth)
    with pytest.raises(RoleNameFixed):
        await update_role(auth, OPERATOR, role.id, RoleForm(name="lector"))
    same = await update_role(auth, OPERATOR, role.id, RoleForm(name="reader", description="x"))
    assert (same.name, same.description) == ("reader", "x")


async def test_role_update_with_an_old_version_conflicts(auth: Auth) -> None:
    role = await make(auth)
    await update_role(auth, OPERATOR, role.id, RoleForm(description="x"), role.version)
    with pytest.raises(EditConflict):
        await update_role(auth, OPERATOR, role.id, RoleForm(description="y"), role.version)


@pytest.mark.parametrize("name", ["admin", "support", "auditor", "user"])
async def test_built_in_roles_cannot_be_changed_or_deleted(auth: Auth, name: str) -> None:
    (role,) = await find_roles_by_name(auth, [name])
    with pytest.raises(RoleBuiltIn):
        await update_role(auth, OPERATOR, role.id, RoleForm(description="mine"))
    with pytest.raises(RoleBuiltIn):
        await delete_role(auth, OPERATOR, role.id)


async def test_role_in_use_cannot_be_deleted(auth: Auth) -> None:
    role = await make(auth)
    bob = await find_user_by_name(auth, "bob")
    assert bob
    await set_user_roles(auth, OPERATOR, bob.id, [role.id])
    with pytest.raises(RoleInUse):
        await delete_role(auth, OPERATOR, role.id)
    await set_user_roles(auth, OPERATOR, bob.id, [])
    await delete_role(auth, OPERATOR, role.id)


async def test_deletion_of_a_role_deletes_its_permissions(auth: Auth) -> None:
    role = await make(auth)
    await delete_role(auth, OPERATOR, role.id)
    async with auth.db.read() as session:
        left = select(func.count()).where(RolePermission.role_id == role.id)
        assert await session.scalar(left) == 0
    with pytest.raises(RoleNotFound):
        await update_role(auth, OPERATOR, role.id, RoleForm(description="again"))


async def test_role_cannot_be_deleted_while_it_is_assigned(auth: Auth) -> None:
    role = await make(auth)
    bob = await find_user_by_name(auth, "bob")
    assert bob
    assigned, deleted = await asyncio.gather(
        set_user_roles(auth, OPERATOR, bob.id, [role.id]),
        delete_role(auth, OPERATOR, role.id),
        return_exceptions=True,
    )
    assert isinstance(assigned, RoleNotFound) or isinstance(deleted, RoleInUse)


async def test_role_edits_need_all_permissions_of_the_role(api: Api) -> None:
    clerk = await make(api.auth, RoleForm("clerk", "", ["roles:write", "users:read"]))
    bob = await find_user_by_name(api.auth, "bob")
    assert bob
    await set_user_roles(api.auth, OPERATOR, bob.id, [clerk.id])
    actor = await get_viewer(api.auth, Client(), await api.log_in(BOB))
    with pytest.raises(Forbidden):
        await create_role(api.auth, actor, RoleForm("boss", "", ["users:write"]))
    with pytest.raises(Forbidden):
        await update_role(api.auth, actor, clerk.id, RoleForm(permissions=["users:write"]))
    boss = await make(api.auth, RoleForm("boss", "", ["users:write"]))
    with pytest.raises(Forbidden):
        await update_role(api.auth, actor, boss.id, RoleForm(permissions=[]))
    with pytest.raises(Forbidden):
        await delete_role(api.auth, actor, boss.id)


async def test_edits_of_unknown_roles_are_refused(auth: Auth) -> None:
    for act in (update_role(auth, OPERATOR, uuid4(), READER), delete_role(auth, OPERATOR, uuid4())):
        with pytest.raises(RoleNotFound):
            await act
