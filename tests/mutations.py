"""Every mutation of the schema, with input that it accepts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from graphql import FieldDefinitionNode, ObjectTypeDefinitionNode, parse

from auth.policies import PermissionRegistry
from auth.viewers import Viewer
from graph.schema import build_schema

SCHEMA = build_schema(PermissionRegistry())
NEW_PASSWORD = "an altogether other one"


@dataclass(frozen=True)
class Scene:
    """What the inputs refer to: the caller, their password, and what they act on."""

    viewer: Viewer
    password: str
    user_id: UUID
    session_id: UUID
    role_id: UUID
    invitation_id: UUID


def _on_user(scene: Scene) -> dict[str, Any]:
    return {"userId": str(scene.user_id)}


def _on_role(scene: Scene) -> dict[str, Any]:
    return {"roleId": str(scene.role_id)}


INPUTS: Mapping[str, Callable[[Scene], dict[str, Any] | None]] = {
    "createUser": lambda s: {"username": "dora", "roleIds": [str(s.role_id)]},
    "setUserRoles": lambda s: _on_user(s) | {"roleIds": [str(s.role_id)]},
    "disableUser": _on_user,
    "enableUser": _on_user,
    "updateUser": lambda s: _on_user(s) | {"username": "robert"},
    "deleteUser": _on_user,
    "revokeUserSessions": _on_user,
    "requirePasswordReset": _on_user,
    "setTemporaryPassword": lambda s: _on_user(s) | {"password": NEW_PASSWORD},
    "createInvitation": lambda s: {"email": "erin@example.com", "roleIds": [str(s.role_id)]},
    "deleteInvitation": lambda s: {"invitationId": str(s.invitation_id)},
    "createRole": lambda _: {"name": "reader", "permissions": ["users:read"]},
    "updateRole": lambda s: _on_role(s) | {"permissions": ["users:read"]},
    "deleteRole": _on_role,
    "changePassword": lambda s: {"currentPassword": s.password, "newPassword": NEW_PASSWORD},
    "requestEmailChange": lambda s: {"newEmail": "new@example.com", "password": s.password},
    "requestEmailVerification": lambda _: None,
    "updateProfile": lambda _: {"fullName": "Another Name"},
    "deleteAccount": lambda s: {"password": s.password},
    "exportAccount": lambda _: None,
    "revokeSession": lambda s: {"sessionId": str(s.session_id)},
    "logoutEverywhere": lambda _: None,
}


def mutations(directive: str) -> list[str]:
    """The mutations that carry a directive, as the schema shows it."""
    return [
        field.name.value
        for field in _fields()
        if directive in {found.name.value for found in field.directives or ()}
    ]


def document_of(mutation: str) -> str:
    """An operation that runs one mutation; its input is the variable `input`."""
    (field,) = [field for field in _fields() if field.name.value == mutation]
    errors = "errors { code }"
    if not field.arguments:
        return f"mutation {{ {mutation} {{ {errors} }} }}"
    type_ = f"{mutation[0].upper()}{mutation[1:]}Input!"
    return f"mutation($input: {type_}) {{ {mutation}(input: $input) {{ {errors} }} }}"


def variables_of(mutation: str, scene: Scene) -> dict[str, Any]:
    """The variables of that operation."""
    given = INPUTS[mutation](scene)
    return {} if given is None else {"input": given}


def _fields() -> list[FieldDefinitionNode]:
    definitions = parse(SCHEMA.as_str()).definitions
    (mutation,) = [
        found
        for found in definitions
        if isinstance(found, ObjectTypeDefinitionNode) and found.name.value == "Mutation"
    ]
    return list(mutation.fields or ())
