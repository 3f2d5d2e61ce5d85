"""Mutations: exactly one of a result and errors, and no error that the schema does not name."""

from functools import cache
from typing import Any
from uuid import uuid4

import pytest
from graphql import (
    InputObjectTypeDefinitionNode,
    ListValueNode,
    ObjectTypeDefinitionNode,
    parse,
    print_ast,
)

from auth.permissions import PermissionRegistry
from auth.wiring import RegistrationMode, RegistrationPolicy
from graph.schema import build_schema
from tests.accounts import ADMIN, ALICE, BOB, SUPPORT, Account
from tests.api import Api, codes, denials

NOBODY = str(uuid4())
FORM = {"username": "carol", "email": "carol@example.com", "password": "of course a good one"}

RESULTS = {
    "register": ["user { id username }"],
    "login": ["tokens { accessToken }", "user { username }"],
    "logout": ["endedSessions"],
    "createUser": ["user { id username roles { name } }"],
    "setUserRoles": ["user { roles { name } }"],
    "disableUser": ["user { disabled }"],
    "enableUser": ["user { disabled }"],
    "changePassword": ["user { id }", "endedSessions"],
    "requestPasswordReset": ["emailSentTo"],
    "resetPassword": ["endedSessions"],
    "requestEmailVerification": ["emailSentTo"],
    "verifyEmail": ["user { emailVerified }"],
    "requestEmailChange": ["emailSentTo"],
    "confirmEmailChange": ["user { email }"],
    "updateProfile": ["user { fullName version }"],
    "deleteAccount": ["userId"],
    "exportAccount": ["document"],
    "updateUser": ["user { username email fullName version }"],
    "deleteUser": ["userId"],
    "revokeUserSessions": ["endedSessions"],
    "requirePasswordReset": ["user { id }"],
    "setTemporaryPassword": ["user { id }"],
    "createInvitation": ["invitation { id email roles { name } }"],
    "deleteInvitation": ["invitationId"],
    "createRole": ["role { id name permissions builtIn version }"],
    "updateRole": ["role { name permissions version }"],
    "deleteRole": ["roleId"],
}


async def mutate(
    api: Api, name: str, fields: dict[str, Any] | None = None, *, token: str | None = None
) -> Any:
    """Runs a mutation and returns its payload, after checking what holds for each of them."""
    kind = name[0].upper() + name[1:]
    head = f"($input: {kind}Input!)" if fields is not None else ""
    call = f"{name}(input: $input)" if fields is not None else name
    chosen = " ".join(RESULTS[name])
    query = f"mutation M{head} {{ {call} {{ {chosen} errors {{ code message field }} }} }}"
    payload = (await api.data(query, {"input": fields}, token=token))[name]
    results = [payload[result.split(" ", maxsplit=1)[0]] for result in RESULTS[name]]
    assert all(result is not None for result in results) == (payload["errors"] == [])
    assert all(result is None for result in results) == (payload["errors"] != [])
    assert set(codes(payload)) <= named_in_the_schema(name)
    places = {error["field"][-1] for error in payload["errors"] if error["field"]}
    assert places <= fields_of_the_input(kind)
    return payload


def is_the_mutation_root(definition: object) -> bool:
    return isinstance(definition, ObjectTypeDefinitionNode) and definition.name.value == "Mutation"


@cache
def named_in_the_schema(mutation: str) -> set[str]:
    """The codes of `@fails` on a mutation."""
    sdl = build_schema(PermissionRegistry()).as_str()
    root = next(d for d in parse(sdl).definitions if is_the_mutation_root(d))
    assert isinstance(root, ObjectTypeDefinitionNode)
    field = next(f for f in root.fields or () if f.name.value == mutation)
    fails = next(d for d in field.directives or () if d.name.value == "fails")
    (codes_,) = fails.arguments or ()
    assert isinstance(codes_.value, ListValueNode)
    return {print_ast(value) for value in codes_.value.values}


@cache
def fields_of_the_input(kind: str) -> set[str]:
    """What an input has: errors point at nothing else."""
    sdl = build_schema(PermissionRegistry()).as_str()
    named = [d for d in parse(sdl).definitions if isinstance(d, InputObjectTypeDefinitionNode)]
    return {
        field.name.value
        for definition in named
        if definition.name.value == f"{kind}Input"
        for field in definition.fields or ()
    }


async def role_ids(api: Api, *names: str, token: str) -> list[str]:
    roles = (await api.data("{ roles { id name } }", token=token))["roles"]
    return [role["id"] for role in roles if role["name"] in names]


async def test_a_newcomer_registers_and_logs_in(sqlite_api: Api) -> None:
    payload = await mutate(sqlite_api, "register", {**FORM, "fullName": "Carol of the Bells"})
    assert payload["user"]["username"] == "carol"
    login = {"username": "carol", "password": FORM["password"]}
    assert (await mutate(sqlite_api, "login", login))["user"] == {"username": "carol"}


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
async def test_what_is_wrong_with_a_form_is_told_at_its_field(
    sqlite_api: Api, changes: dict[str, str], wanted: list[tuple[str, list[str]]]
) -> None:
    payload = await mutate(sqlite_api, "register", {**FORM, **changes})
    assert [(error["code"], error["field"]) for error in payload["errors"]] == wanted


@pytest.mark.parametrize("password", ["a" * 73, "b" * 999 + "c", "🚪" * 20, "  blanks  "])
async def test_a_difficult_password_logs_in_and_its_neighbour_does_not(
    sqlite_api: Api, password: str
) -> None:
    await mutate(sqlite_api, "register", {**FORM, "password": password})
    good = await mutate(sqlite_api, "login", {"username": "carol", "password": password})
    assert good["errors"] == []
    near = await mutate(sqlite_api, "login", {"username": "carol", "password": password[:-1]})
    assert codes(near) == ["INVALID_CREDENTIALS"]


async def test_a_form_cannot_set_what_it_does_not_name(sqlite_api: Api) -> None:
    query = "mutation R($input: RegisterInput!) { register(input: $input) { user { id } } }"
    for name, value in [("roleIds", []), ("disabled", False), ("emailVerified", True)]:
        result = await sqlite_api.ask(query, {"input": {**FORM, name: value}})
        assert denials(result) == [{"code": "BAD_USER_INPUT"}]


async def test_a_closed_registration_says_so(sqlite_api: Api) -> None:
    closed = RegistrationPolicy(RegistrationMode.CLOSED)
    object.__setattr__(sqlite_api.auth, "registration_policy", closed)
    assert codes(await mutate(sqlite_api, "register", FORM)) == ["REGISTRATION_CLOSED"]


async def test_wrong_password_and_unknown_user_get_the_same_reply(sqlite_api: Api) -> None:
    wrong = await mutate(sqlite_api, "login", {"username": "alice", "password": "x"})
    unknown = await mutate(sqlite_api, "login", {"username": "nobody", "password": "x"})
    assert wrong == unknown


async def test_logging_out_ends_the_token(api: Api, alice: str) -> None:
    assert (await mutate(api, "logout", token=alice))["endedSessions"] == 1
    result = await api.ask("{ me { id } }", token=alice)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "SESSION_REVOKED"}]


async def test_logging_out_leaves_other_sessions_alone(api: Api, alice: str) -> None:
    other = await api.log_in(ALICE)
    await mutate(api, "logout", token=alice)
    assert await api.data("{ me { id } }", token=other)


async def test_a_disabled_user_is_refused_on_the_next_request(
    api: Api, alice: str, admin: str
) -> None:
    user_id = await api.id_of(ALICE, admin=admin)
    payload = await mutate(api, "disableUser", {"userId": user_id}, token=admin)
    assert payload["user"] == {"disabled": True}
    result = await api.ask("{ me { id } }", token=alice)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "USER_DISABLED"}]
    login = {"username": "alice", "password": ALICE.password}
    assert codes(await mutate(api, "login", login)) == ["ACCOUNT_DISABLED"]


async def test_an_enabled_user_logs_in_again_and_the_old_token_stays_dead(
    api: Api, alice: str, admin: str
) -> None:
    user_id = await api.id_of(ALICE, admin=admin)
    await mutate(api, "disableUser", {"userId": user_id}, token=admin)
    await mutate(api, "enableUser", {"userId": user_id}, token=admin)
    assert await api.log_in(ALICE)
    result = await api.ask("{ me { id } }", token=alice)
    assert denials(result) == [{"code": "UNAUTHENTICATED", "reason": "SESSION_REVOKED"}]


async def test_a_role_counts_from_the_next_request_on(api: Api, alice: str, admin: str) -> None:
    user_id = await api.id_of(ALICE, admin=admin)
    ids = await role_ids(api, "auditor", token=admin)
    await mutate(api, "setUserRoles", {"userId": user_id, "roleIds": ids}, token=admin)
    assert await api.data("{ users { nodes { id } } }", token=alice)
    await mutate(api, "setUserRoles", {"userId": user_id, "roleIds": []}, token=admin)
    result = await api.ask("{ users { nodes { id } } }", token=alice)
    assert denials(result) == [{"code": "FORBIDDEN", "required": "users:read"}]


async def test_an_operator_creates_an_account(api: Api, admin: str) -> None:
    form = {**FORM, "roleIds": await role_ids(api, "support", token=admin)}
    payload = await mutate(api, "createUser", form, token=admin)
    assert payload["user"]["roles"] == [{"name": "support"}]
    without_password = {"username": "dora"}
    await mutate(api, "createUser", without_password, token=admin)
    login = await mutate(api, "login", {"username": "dora", "password": ""})
    assert codes(login) == ["INVALID_CREDENTIALS"]


@pytest.mark.parametrize(
    ("mutation", "fields", "code"),
    [
        ("createUser", {"username": "alice"}, "USERNAME_TAKEN"),
        ("createUser", {"username": "carol", "roleIds": [NOBODY]}, "ROLE_NOT_FOUND"),
        ("createUser", {"username": "carol", "roleIds": ["x"]}, "ROLE_NOT_FOUND"),
        ("setUserRoles", {"userId": NOBODY, "roleIds": []}, "USER_NOT_FOUND"),
        ("setUserRoles", {"userId": "x", "roleIds": []}, "USER_NOT_FOUND"),
        ("disableUser", {"userId": NOBODY}, "USER_NOT_FOUND"),
        ("disableUser", {"userId": "\0"}, "USER_NOT_FOUND"),
        ("enableUser", {"userId": NOBODY}, "USER_NOT_FOUND"),
    ],
)
async def test_what_an_operator_can_put_right_is_told(
    sqlite_api: Api, mutation: str, fields: dict[str, Any], code: str
) -> None:
    token = await sqlite_api.log_in(ADMIN)
    assert codes(await mutate(sqlite_api, mutation, fields, token=token)) == [code]


async def test_the_last_administrator_cannot_go(api: Api, admin: str) -> None:
    user_id = await api.id_of(ADMIN, admin=admin)
    disabled = await mutate(api, "disableUser", {"userId": user_id}, token=admin)
    demoted = await mutate(api, "setUserRoles", {"userId": user_id, "roleIds": []}, token=admin)
    assert codes(disabled) == codes(demoted) == ["LAST_ADMIN"]


@pytest.mark.parametrize("account", [ALICE, SUPPORT, None])
async def test_nobody_else_may_do_an_operators_work(
    sqlite_api: Api, account: Account | None
) -> None:
    admin = await sqlite_api.log_in(ADMIN)
    bob = await sqlite_api.id_of(BOB, admin=admin)
    token = await sqlite_api.log_in(account) if account else None
    query = f"""mutation {{
        createUser(input: {{username: "carol"}}) {{ user {{ id }} }}
        disableUser(input: {{userId: "{bob}"}}) {{ user {{ id }} }}
        enableUser(input: {{userId: "{bob}"}}) {{ user {{ id }} }}
        setUserRoles(input: {{userId: "{bob}", roleIds: []}}) {{ user {{ id }} }}
    }}"""
    result = await sqlite_api.ask(query, token=token)
    assert not any(result["data"].values())
    assert {d["code"] for d in denials(result)} == {"FORBIDDEN" if account else "UNAUTHENTICATED"}
    assert await sqlite_api.log_in(BOB)
