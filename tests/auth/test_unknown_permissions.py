"""Edits of roles keep the permissions of custom code that the process does not know."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from auth.clients import Client
from auth.errors import Forbidden, PermissionUnknown
from auth.permissions import Console
from auth.records import RoleRecord
from auth.role_edits import RoleForm, create_role, delete_role, update_role
from auth.roles import list_roles
from auth.user_access import set_user_roles
from auth.users import find_user_by_name
from auth.viewers import get_viewer
from auth.wiring import Auth
from tests.accounts import BOB, OPERATOR
from tests.api import Api, serving
from tests.clock import ManualClock
from tests.conftest import make_settings

NOTES = {"notes:read": "Read notes.", "notes:write": "Write notes."}
EDITOR = RoleForm("editor", "", ["notes:read", "notes:write", "users:read"])


@pytest.fixture
async def custom(database_url: str, tmp_path: Path, clock: ManualClock) -> AsyncIterator[Auth]:
    """A server with the permissions of custom code."""
    settings = make_settings(database_url, tmp_path)
    async with serving(settings, clock, permissions=NOTES) as api:
        yield api.auth


@pytest.fixture
async def role(custom: Auth) -> RoleRecord:
    return await create_role(custom, Console(custom.permissions), EDITOR)


async def reread(auth: Auth, role: RoleRecord) -> RoleRecord:
    (found,) = [r for r in await list_roles(auth, Console(auth.permissions)) if r.id == role.id]
    return found


async def test_role_edit_keeps_unknown_permissions(
    api: Api, custom: Auth, role: RoleRecord
) -> None:
    edit = RoleForm(description="x", permissions=["audit:read"])
    edited = await update_role(api.auth, OPERATOR, role.id, edit)
    assert edited.permissions == {"audit:read"}
    assert edited.unknown_permissions == {"notes:read", "notes:write"}
    there = await reread(custom, role)
    assert there.permissions == {"audit:read", "notes:read", "notes:write"}
    assert there.unknown_permissions == frozenset()


async def test_unknown_permissions_are_removed_only_by_name(
    api: Api, custom: Auth, role: RoleRecord
) -> None:
    edit = RoleForm(unknown_permissions=["notes:read"])
    await update_role(api.auth, OPERATOR, role.id, edit)
    assert (await reread(custom, role)).permissions == {"notes:read", "users:read"}
    with pytest.raises(PermissionUnknown) as refused:
        await update_role(
            api.auth, OPERATOR, role.id, RoleForm(unknown_permissions=["notes:write"])
        )
    assert refused.value.field == "unknown_permissions"


async def test_unknown_permissions_are_shown(api: Api, role: RoleRecord, admin: str) -> None:
    roles = (await api.data("{ roles { name unknownPermissions } }", token=admin))["roles"]
    shown = {found["name"]: found["unknownPermissions"] for found in roles}
    assert shown[role.name] == ["notes:read", "notes:write"]
    assert shown["admin"] == []


async def test_edit_of_role_needs_its_unknown_permissions(
    api: Api, custom: Auth, role: RoleRecord
) -> None:
    """A process that does not know the permissions must not treat the role as weaker."""
    form = RoleForm("clerk", "", ["roles:write", "users:read"])
    weak = await create_role(custom, Console(custom.permissions), form)
    bob = await find_user_by_name(api.auth, BOB.username)
    assert bob
    await set_user_roles(api.auth, OPERATOR, bob.id, [weak.id])
    actor = await get_viewer(api.auth, Client(), await api.log_in(BOB))
    for act in (
        set_user_roles(api.auth, actor, bob.id, [weak.id, role.id]),
        update_role(api.auth, actor, role.id, RoleForm(unknown_permissions=[])),
        update_role(api.auth, actor, role.id, RoleForm(description="mine")),
        delete_role(api.auth, actor, role.id),
    ):
        with pytest.raises(Forbidden) as denied:
            await act
        assert denied.value.required == "notes:read"
