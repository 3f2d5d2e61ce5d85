"""Mutations of accounts, roles and invitations: their shapes, their codes, and who may."""

from typing import Any
from uuid import uuid4

import pytest

from tests.accounts import ADMIN, ALICE, AUDITOR, BOB, SUPPORT, Account
from tests.api import Api, codes, denials
from tests.emails import Mailbox
from tests.graph.test_mutations import FORM, mutate, role_ids

NOBODY = str(uuid4())
NEW = "what nobody else knows"
WRONG_LINK = "plt_" + "A" * 72


@pytest.mark.parametrize(
    ("account", "mutation", "fields", "wanted"),
    [
        (None, "requestPasswordReset", {"email": "x"}, [("EMAIL_INVALID", "email")]),
        (
            None,
            "resetPassword",
            {"token": WRONG_LINK, "newPassword": NEW},
            [("LINK_INVALID", "token")],
        ),
        (None, "resetPassword", {"token": "", "newPassword": NEW}, [("LINK_INVALID", "token")]),
        (None, "verifyEmail", {"token": WRONG_LINK}, [("LINK_INVALID", "token")]),
        (None, "verifyEmail", {"token": WRONG_LINK, "password": "x"}, [("LINK_INVALID", "token")]),
        (None, "confirmEmailChange", {"token": "x" * 9999}, [("LINK_INVALID", "token")]),
        (None, "register", {**FORM, "invitation": "x"}, [("INVITATION_INVALID", "invitation")]),
        (
            ALICE,
            "requestEmailChange",
            {"newEmail": "x", "password": ALICE.password},
            [("EMAIL_INVALID", "newEmail")],
        ),
        (
            ALICE,
            "requestEmailChange",
            {"newEmail": "new@example.com", "password": "x"},
            [("WRONG_PASSWORD", "password")],
        ),
        (ALICE, "deleteAccount", {"password": "x"}, [("WRONG_PASSWORD", "password")]),
        (ALICE, "updateProfile", {"fullName": "\0"}, [("FULL_NAME_INVALID", "fullName")]),
        (ALICE, "updateProfile", {"fullName": "A", "version": 7}, [("EDIT_CONFLICT", "version")]),
        (ADMIN, "deleteAccount", {"password": ADMIN.password}, [("LAST_ADMIN", None)]),
        (ADMIN, "updateUser", {"userId": NOBODY}, [("USER_NOT_FOUND", "userId")]),
        (ADMIN, "deleteUser", {"userId": "x"}, [("USER_NOT_FOUND", "userId")]),
        (ADMIN, "revokeUserSessions", {"userId": NOBODY}, [("USER_NOT_FOUND", "userId")]),
        (ADMIN, "requirePasswordReset", {"userId": NOBODY}, [("USER_NOT_FOUND", "userId")]),
        (ADMIN, "createInvitation", {"email": ADMIN.email}, [("EMAIL_TAKEN", "email")]),
        (ADMIN, "createInvitation", {"email": "x"}, [("EMAIL_INVALID", "email")]),
        (
            ADMIN,
            "createInvitation",
            {"email": "x@example.com", "roleIds": ["x"]},
            [("ROLE_NOT_FOUND", "roleIds")],
        ),
        (
            ADMIN,
            "deleteInvitation",
            {"invitationId": "x"},
            [("INVITATION_NOT_FOUND", "invitationId")],
        ),
        (
            ADMIN,
            "createRole",
            {"name": "support", "permissions": []},
            [("ROLE_NAME_TAKEN", "name")],
        ),
        (
            ADMIN,
            "createRole",
            {"name": "?", "permissions": ["x"]},
            [("ROLE_NAME_INVALID", "name"), ("PERMISSION_UNKNOWN", "permissions")],
        ),
        (ADMIN, "updateRole", {"roleId": NOBODY}, [("ROLE_NOT_FOUND", "roleId")]),
        (ADMIN, "deleteRole", {"roleId": "x"}, [("ROLE_NOT_FOUND", "roleId")]),
    ],
)
async def test_what_can_be_put_right_is_told_at_its_field(
    sqlite_api: Api,
    account: Account | None,
    mutation: str,
    fields: dict[str, Any],
    wanted: list[tuple[str, str | None]],
) -> None:
    token = await sqlite_api.log_in(account) if account else None
    payload = await mutate(sqlite_api, mutation, fields, token=token)
    found = [(e["code"], e["field"] and e["field"][-1]) for e in payload["errors"]]
    assert found == wanted


async def test_an_operator_edits_a_user_and_an_older_form_is_refused(api: Api, admin: str) -> None:
    user_id = await api.id_of(ALICE, admin=admin)
    edit = {"userId": user_id, "fullName": "Alice", "version": 1}
    payload = await mutate(api, "updateUser", edit, token=admin)
    assert payload["user"]["version"] == 2
    assert codes(await mutate(api, "updateUser", edit, token=admin)) == ["EDIT_CONFLICT"]
    roles = {"userId": user_id, "roleIds": [], "version": 1}
    assert codes(await mutate(api, "setUserRoles", roles, token=admin)) == ["EDIT_CONFLICT"]


async def test_null_takes_away_and_what_is_left_out_stays(api: Api, admin: str) -> None:
    user_id = await api.id_of(ALICE, admin=admin)
    payload = await mutate(api, "updateUser", {"userId": user_id, "email": None}, token=admin)
    assert (payload["user"]["email"], payload["user"]["username"]) == (None, "alice")


async def test_a_username_cannot_be_taken_away(api: Api, admin: str) -> None:
    query = """mutation($i: UpdateUserInput!) { updateUser(input: $i) { user { id } } }"""
    fields = {"userId": await api.id_of(ALICE, admin=admin), "username": None}
    result = await api.ask(query, {"i": fields}, token=admin)
    assert denials(result) == [{"code": "BAD_USER_INPUT"}]


async def test_roles_are_made_changed_and_deleted(api: Api, admin: str) -> None:
    form = {"name": "reader", "description": "Reads.", "permissions": ["users:read"]}
    role = (await mutate(api, "createRole", form, token=admin))["role"]
    assert (role["permissions"], role["builtIn"]) == (["users:read"], False)
    edit = {"roleId": role["id"], "permissions": [], "version": role["version"]}
    assert (await mutate(api, "updateRole", edit, token=admin))["role"]["permissions"] == []
    assert codes(await mutate(api, "updateRole", edit, token=admin)) == ["EDIT_CONFLICT"]
    assert (await mutate(api, "deleteRole", {"roleId": role["id"]}, token=admin))["roleId"]


async def test_roles_that_come_with_postern_stay(api: Api, admin: str) -> None:
    (role_id,) = await role_ids(api, "support", token=admin)
    for mutation in ("updateRole", "deleteRole"):
        payload = await mutate(api, mutation, {"roleId": role_id}, token=admin)
        assert codes(payload) == ["ROLE_BUILT_IN"]


async def test_operators_see_what_roles_can_permit(api: Api, admin: str) -> None:
    data = await api.data("{ permissions { name description } }", token=admin)
    assert "users:write" in [permission["name"] for permission in data["permissions"]]


async def test_invitations_are_listed_until_they_are_used(
    api: Api, admin: str, mailbox: Mailbox
) -> None:
    invited = await mutate(api, "createInvitation", {"email": FORM["email"]}, token=admin)
    query = "{ invitations { nodes { id email } pageInfo { hasNextPage } } }"
    (node,) = (await api.data(query, token=admin))["invitations"]["nodes"]
    assert node == {"id": invited["invitation"]["id"], "email": FORM["email"]}
    await api.send_emails()
    token = mailbox.last(FORM["email"]).token
    assert (await mutate(api, "register", {**FORM, "invitation": token}))["user"]
    assert (await api.data(query, token=admin))["invitations"]["nodes"] == []


async def test_invitations_come_page_by_page(api: Api, admin: str) -> None:
    for number in range(3):
        await mutate(api, "createInvitation", {"email": f"person{number}@example.com"}, token=admin)
    query = """query($after: String) { invitations(first: 2, after: $after) {
        nodes { email } pageInfo { hasNextPage endCursor } } }"""
    first = (await api.data(query, token=admin))["invitations"]
    after = {"after": first["pageInfo"]["endCursor"]}
    second = (await api.data(query, after, token=admin))["invitations"]
    emails = [node["email"] for node in first["nodes"] + second["nodes"]]
    assert emails == [f"person{number}@example.com" for number in (2, 1, 0)]


EVERY_ACT = """mutation {{
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
async def test_nobody_does_an_operators_work_without_the_permission(
    sqlite_api: Api, account: Account | None
) -> None:
    admin = await sqlite_api.log_in(ADMIN)
    bob = await sqlite_api.id_of(BOB, admin=admin)
    token = await sqlite_api.log_in(account) if account else None
    result = await sqlite_api.ask(EVERY_ACT.format(bob=bob), token=token)
    assert set(result["data"].values()) == {None}
    assert {d["code"] for d in denials(result)} == {"FORBIDDEN" if account else "UNAUTHENTICATED"}
    assert await sqlite_api.log_in(BOB)
