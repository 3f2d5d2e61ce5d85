"""Runs mutations, and checks what holds for every payload."""

from functools import cache
from typing import Any
from uuid import uuid4

from graphql import (
    InputObjectTypeDefinitionNode,
    ListValueNode,
    ObjectTypeDefinitionNode,
    parse,
    print_ast,
)

from auth.permissions import PermissionRegistry
from graph.schema import build_schema
from tests.api import Api, codes

UNKNOWN_ID = str(uuid4())


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
    "refreshTokens": ["tokens { refreshToken }", "user { username }"],
}


async def mutate(
    api: Api, name: str, fields: dict[str, Any] | None = None, *, token: str | None = None
) -> Any:
    """Runs a mutation and returns its payload. Checks that it has either results or errors."""
    kind = name[0].upper() + name[1:]
    head = f"($input: {kind}Input!)" if fields is not None else ""
    call = f"{name}(input: $input)" if fields is not None else name
    selection = " ".join(RESULTS[name])
    query = f"mutation M{head} {{ {call} {{ {selection} errors {{ code message field }} }} }}"
    payload = (await api.data(query, {"input": fields}, token=token))[name]
    results = [payload[result.split(" ", maxsplit=1)[0]] for result in RESULTS[name]]
    assert all(result is not None for result in results) == (payload["errors"] == [])
    assert all(result is None for result in results) == (payload["errors"] != [])
    assert set(codes(payload)) <= declared_codes(name)
    fields_at_fault = {error["field"][-1] for error in payload["errors"] if error["field"]}
    assert fields_at_fault <= input_fields(kind)
    return payload


def is_mutation_type(definition: object) -> bool:
    return isinstance(definition, ObjectTypeDefinitionNode) and definition.name.value == "Mutation"


@cache
def declared_codes(mutation: str) -> set[str]:
    """The codes of `@fails` on a mutation."""
    sdl = build_schema(PermissionRegistry()).as_str()
    root = next(d for d in parse(sdl).definitions if is_mutation_type(d))
    assert isinstance(root, ObjectTypeDefinitionNode)
    field = next(f for f in root.fields or () if f.name.value == mutation)
    fails = next(d for d in field.directives or () if d.name.value == "fails")
    (codes_,) = fails.arguments or ()
    assert isinstance(codes_.value, ListValueNode)
    return {print_ast(value) for value in codes_.value.values}


@cache
def input_fields(kind: str) -> set[str]:
    """The fields of an input type."""
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
