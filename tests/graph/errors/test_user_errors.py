"""User errors: each has a code, and the input field at fault."""

from typing import Any

import pytest

from tests.accounts import ADMIN, ALICE, Account
from tests.api import Api, codes
from tests.graph.payloads import FORM, UNKNOWN_ID, mutate

NEW_PASSWORD = "of course a good one"
WRONG_LINK = "plt_" + "A" * 72


@pytest.mark.parametrize(
    ("account", "mutation", "fields", "wanted"),
    [
        (None, "requestPasswordReset", {"email": "x"}, [("EMAIL_INVALID", "email")]),
        (
            None,
            "resetPassword",
            {"token": WRONG_LINK, "newPassword": NEW_PASSWORD},
            [("LINK_INVALID", "token")],
        ),
        (
            None,
            "resetPassword",
            {"token": "", "newPassword": NEW_PASSWORD},
            [("LINK_INVALID", "token")],
        ),
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
        (ADMIN, "updateUser", {"userId": UNKNOWN_ID}, [("USER_NOT_FOUND", "userId")]),
        (ADMIN, "deleteUser", {"userId": "x"}, [("USER_NOT_FOUND", "userId")]),
        (ADMIN, "revokeUserSessions", {"userId": UNKNOWN_ID}, [("USER_NOT_FOUND", "userId")]),
        (ADMIN, "requirePasswordReset", {"userId": UNKNOWN_ID}, [("USER_NOT_FOUND", "userId")]),
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
        (ADMIN, "updateRole", {"roleId": UNKNOWN_ID}, [("ROLE_NOT_FOUND", "roleId")]),
        (ADMIN, "deleteRole", {"roleId": "x"}, [("ROLE_NOT_FOUND", "roleId")]),
    ],
)
async def test_user_error_names_code_and_field(
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


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"username": "?"}, [("USERNAME_INVALID", ["input", "username"])]),
        ({"username": "Alice"}, [("USERNAME_TAKEN", ["input", "username"])]),
        ({"email": "x"}, [("EMAIL_INVALID", ["input", "email"])]),
        ({"email": ""}, [("EMAIL_INVALID", ["input", "email"])]),
        ({"email": "ALICE@example.com"}, [("EMAIL_TAKEN", ["input", "email"])]),
        ({"fullName": "a\0"}, [("FULL_NAME_INVALID", ["input", "fullName"])]),
        ({"password": "short"}, [("PASSWORD_TOO_SHORT", ["input", "password"])]),
        ({"password": "p" * 1025}, [("PASSWORD_TOO_LONG", ["input", "password"])]),
        ({"password": "nul\0 inside"}, [("PASSWORD_INVALID", ["input", "password"])]),
        ({"password": "password123"}, [("PASSWORD_TOO_COMMON", ["input", "password"])]),
        ({"password": "carol's own"}, [("PASSWORD_TOO_PERSONAL", ["input", "password"])]),
    ],
)
async def test_registration_error_names_code_and_field(
    sqlite_api: Api, changes: dict[str, str], wanted: list[tuple[str, list[str]]]
) -> None:
    payload = await mutate(sqlite_api, "register", {**FORM, **changes})
    assert [(error["code"], error["field"]) for error in payload["errors"]] == wanted


@pytest.mark.parametrize(
    ("mutation", "fields", "code"),
    [
        ("createUser", {"username": "alice"}, "USERNAME_TAKEN"),
        ("createUser", {"username": "carol", "roleIds": [UNKNOWN_ID]}, "ROLE_NOT_FOUND"),
        ("createUser", {"username": "carol", "roleIds": ["x"]}, "ROLE_NOT_FOUND"),
        ("setUserRoles", {"userId": UNKNOWN_ID, "roleIds": []}, "USER_NOT_FOUND"),
        ("setUserRoles", {"userId": "x", "roleIds": []}, "USER_NOT_FOUND"),
        ("disableUser", {"userId": UNKNOWN_ID}, "USER_NOT_FOUND"),
        ("disableUser", {"userId": "\0"}, "USER_NOT_FOUND"),
        ("enableUser", {"userId": UNKNOWN_ID}, "USER_NOT_FOUND"),
    ],
)
async def test_user_mutation_error_names_code(
    sqlite_api: Api, mutation: str, fields: dict[str, Any], code: str
) -> None:
    token = await sqlite_api.log_in(ADMIN)
    assert codes(await mutate(sqlite_api, mutation, fields, token=token)) == [code]
