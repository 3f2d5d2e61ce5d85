"""Every mutation of the schema, with input that it accepts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from graphql import FieldDefinitionNode, ObjectTypeDefinitionNode, parse
from strawberry.types import ExecutionResult

from auth.clients import Client
from auth.invitations import create_invitation
from auth.permissions import BUILT_IN_PERMISSIONS, PermissionRegistry
from auth.role_edits import RoleForm, create_role
from auth.user_access import set_user_roles
from auth.users import find_user_by_name
from auth.viewers import Viewer, viewer_of
from auth.wiring import Auth
from graph.context import Context
from graph.cookies import CookieJar, CookiePolicy
from graph.schema import build_schema
from tests.api import Api
from tests.people import BOB, OPERATOR, SUPPORT, Account

EVERY_PERMISSION = sorted(BUILT_IN_PERMISSIONS)

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


async def make_scene(api: Api) -> Scene:
    """An operator who may do everything by a custom role, and what they may act on."""
    auth = api.auth
    role = await create_role(auth, OPERATOR, RoleForm("boss", "", EVERY_PERMISSION))
    sophie = await find_user_by_name(auth, SUPPORT.username)
    assert sophie
    await set_user_roles(auth, OPERATOR, sophie.id, [role.id])
    other = await create_role(auth, OPERATOR, RoleForm("clerk", "", []))
    invitation = await create_invitation(
        auth, OPERATOR, email="carol@example.com", role_ids=[other.id]
    )
    bob = await viewer_for(api, BOB)
    return Scene(
        viewer=await viewer_for(api, SUPPORT),
        password=SUPPORT.password,
        user_id=bob.user_id,
        session_id=bob.session_id,
        role_id=other.id,
        invitation_id=invitation.id,
    )


async def viewer_for(api: Api, account: Account) -> Viewer:
    """Logs in."""
    return await viewer_of(api.auth, Client("192.0.2.7", "test"), await api.log_in(account))


async def run_mutation(auth: Auth, scene: Scene, mutation: str) -> ExecutionResult:
    """Runs a mutation for a caller who was let in with the rights that they had."""
    cookies = CookieJar(CookiePolicy(secure=False, allowed_origins=frozenset()), None)
    context = Context(auth, scene.viewer.client, scene.viewer, cookies)
    document, variables = document_of(mutation), variables_of(mutation, scene)
    result = await SCHEMA.execute(document, variables, context_value=context)
    assert isinstance(result, ExecutionResult)
    return result


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


def all_mutations() -> list[str]:
    """The names of all mutations."""
    return [field.name.value for field in _fields()]


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
