"""All mutations of the schema, each with valid input."""

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
from auth.viewers import Viewer, get_viewer
from auth.wiring import Auth
from graph.context import Context
from graph.cookies import CookieJar, CookiePolicy
from graph.schema import build_schema
from tests.accounts import BOB, OPERATOR, SUPPORT, Account
from tests.api import Api

EVERY_PERMISSION = sorted(BUILT_IN_PERMISSIONS)

SCHEMA = build_schema(PermissionRegistry())
NEW_PASSWORD = "an altogether other one"


@dataclass(frozen=True)
class Scene:
    """The objects that the inputs refer to: the caller, and the rows that they act on."""

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
    """Creates a user with all permissions, and the rows that the user acts on."""
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
    """Signs in and returns the viewer."""
    return await get_viewer(api.auth, Client("192.0.2.7", "test"), await api.log_in(account))


async def run_mutation(auth: Auth, scene: Scene, mutation: str) -> ExecutionResult:
    """Runs a mutation for the viewer of the scene, with the permissions read at sign-in."""
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
    """Returns the names of all mutations."""
    return [field.name.value for field in _fields()]


def mutations(directive: str) -> list[str]:
    """Returns the mutations that have a directive in the SDL."""
    return [
        field.name.value
        for field in _fields()
        if directive in {found.name.value for found in field.directives or ()}
    ]


def document_of(mutation: str) -> str:
    """Returns a document that runs one mutation, with the variable `input`."""
    (field,) = [field for field in _fields() if field.name.value == mutation]
    errors = "errors { code }"
    if not field.arguments:
        return f"mutation {{ {mutation} {{ {errors} }} }}"
    type_ = f"{mutation[0].upper()}{mutation[1:]}Input!"
    return f"mutation($input: {type_}) {{ {mutation}(input: $input) {{ {errors} }} }}"


def variables_of(mutation: str, scene: Scene) -> dict[str, Any]:
    """Returns the variables of that document."""
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
