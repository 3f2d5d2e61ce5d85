"""Role edits: create, update and delete roles."""

import pytest

from tests.accounts import ADMIN, ALICE, AUDITOR, BOB, SUPPORT, Account
from tests.api import Api, codes, denials
from tests.graph.payloads import mutate, role_ids


async def test_admin_creates_updates_and_deletes_roles(api: Api, admin: str) -> None:
    form = {"name": "reader", "description": "Reads.", "permissions": ["users:read"]}
    role = (await mutate(api, "createRole", form, token=admin))["role"]
    assert (role["permissions"], role["builtIn"]) == (["users:read"], False)
    edit = {"roleId": role["id"], "permissions": [], "version": role["version"]}
    assert (await mutate(api, "updateRole", edit, token=admin))["role"]["permissions"] == []
    assert codes(await mutate(api, "updateRole", edit, token=admin)) == ["EDIT_CONFLICT"]
    assert (await mutate(api, "deleteRole", {"roleId": role["id"]}, token=admin))["roleId"]


async def test_built_in_roles_cannot_be_edited(api: Api, admin: str) -> None:
    (role_id,) = await role_ids(api, "support", token=admin)
    for mutation in ("updateRole", "deleteRole"):
        payload = await mutate(api, mutation, {"roleId": role_id}, token=admin)
        assert codes(payload) == ["ROLE_BUILT_IN"]


ADMIN_MUTATIONS = """mutation {{
  createUser(input: {{username: "carol"}}) {{ user {{ id }} }}
  updateUser(input: {{userId: "{bob}", fullName: "x"}}) {{ user {{ id }} }}
  disableUser(input: {{userId: "{bob}"}}) {{ user {{ id }} }}
  enableUser(input: {{userId: "{bob}"}}) {{ user {{ id }} }}
  deleteUser(input: {{userId: "{bob}"}}) {{ userId }}
  setUserRoles(input: {{userId: "{bob}", roleIds: []}}) {{ user {{ id }} }}
  requirePasswordReset(input: {{userId: "{bob}"}}) {{ user {{ id }} }}
  createInvitation(input: {{email: "carol@example.com"}}) {{ invitation {{ id }} }}
  deleteInvitation(input: {{invitationId: "{bob}"}}) {{ invitationId }}
  createRole(input: {{name: "reader", permissions: []}}) {{ role {{ id }} }}
  updateRole(input: {{roleId: "{bob}"}}) {{ role {{ id }} }}
  deleteRole(input: {{roleId: "{bob}"}}) {{ roleId }}
}}"""


@pytest.mark.parametrize("account", [ALICE, SUPPORT, AUDITOR, None])
async def test_admin_mutations_are_denied_without_permission(
    sqlite_api: Api, account: Account | None
) -> None:
    admin = await sqlite_api.log_in(ADMIN)
    bob = await sqlite_api.id_of(BOB, admin=admin)
    token = await sqlite_api.log_in(account) if account else None
    result = await sqlite_api.ask(ADMIN_MUTATIONS.format(bob=bob), token=token)
    assert set(result["data"].values()) == {None}
    assert {d["code"] for d in denials(result)} == {"FORBIDDEN" if account else "UNAUTHENTICATED"}
    assert await sqlite_api.log_in(BOB)
