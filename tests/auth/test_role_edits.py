"""Own roles: made, changed and deleted, and never more than who makes them may do."""

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


async def test_a_role_permits_what_was_said(auth: Auth) -> None:
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
async def test_everything_that_is_wrong_is_told(
    auth: Auth, form: RoleForm, codes: list[str]
) -> None:
    with pytest.raises(Refusals) as refused:
        await make(auth, form)
    assert [refusal.code for refusal in refused.value.refusals] == codes


async def test_a_name_belongs_to_one_role(auth: Auth) -> None:
    outcomes = await asyncio.gather(*(make(auth) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(outcome, RoleNameTaken) for outcome in outcomes) == 4


async def test_a_role_changes_for_who_has_it_at_once(api: Api) -> None:
    role = await make(api.auth)
    alice = await find_user_by_name(api.auth, "alice")
    assert alice
    await set_user_roles(api.auth, OPERATOR, alice.id, [role.id])
    token = await api.log_in(ALICE)
    assert (await get_viewer(api.auth, Client(), token)).permissions == {"users:read"}
    await update_role(api.auth, OPERATOR, role.id, RoleForm(permissions=["audit:read"]))
    assert (await get_viewer(api.auth, Client(), token)).permissions == {"audit:read"}


async def test_role_update_keeps_what_is_not_given(auth: Auth) -> None:
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


async def test_of_two_operators_the_second_is_told(auth: Auth) -> None:
    role = await make(auth)
    await update_role(auth, OPERATOR, role.id, RoleForm(description="x"), role.version)
    with pytest.raises(EditConflict):
        await update_role(auth, OPERATOR, role.id, RoleForm(description="y"), role.version)


@pytest.mark.parametrize("name", ["admin", "support", "auditor", "user"])
async def test_what_comes_with_postern_stays_as_it_is(auth: Auth, name: str) -> None:
    (role,) = await find_roles_by_name(auth, [name])
    with pytest.raises(RoleBuiltIn):
        await update_role(auth, OPERATOR, role.id, RoleForm(description="mine"))
    with pytest.raises(RoleBuiltIn):
        await delete_role(auth, OPERATOR, role.id)


async def test_a_role_that_somebody_has_stays(auth: Auth) -> None:
    role = await make(auth)
    bob = await find_user_by_name(auth, "bob")
    assert bob
    await set_user_roles(auth, OPERATOR, bob.id, [role.id])
    with pytest.raises(RoleInUse):
        await delete_role(auth, OPERATOR, role.id)
    await set_user_roles(auth, OPERATOR, bob.id, [])
    await delete_role(auth, OPERATOR, role.id)


async def test_a_role_goes_with_its_permissions(auth: Auth) -> None:
    role = await make(auth)
    await delete_role(auth, OPERATOR, role.id)
    async with auth.db.read() as session:
        left = select(func.count()).where(RolePermission.role_id == role.id)
        assert await session.scalar(left) == 0
    with pytest.raises(RoleNotFound):
        await update_role(auth, OPERATOR, role.id, RoleForm(description="again"))


async def test_a_role_is_not_deleted_while_it_is_given(auth: Auth) -> None:
    role = await make(auth)
    bob = await find_user_by_name(auth, "bob")
    assert bob
    given, gone = await asyncio.gather(
        set_user_roles(auth, OPERATOR, bob.id, [role.id]),
        delete_role(auth, OPERATOR, role.id),
        return_exceptions=True,
    )
    assert isinstance(given, RoleNotFound) or isinstance(gone, RoleInUse)


async def test_nobody_makes_a_role_that_permits_more_than_they_may(api: Api) -> None:
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


async def test_a_role_that_is_not_there_is_told(auth: Auth) -> None:
    for act in (update_role(auth, OPERATOR, uuid4(), READER), delete_role(auth, OPERATOR, uuid4())):
        with pytest.raises(RoleNotFound):
            await act
