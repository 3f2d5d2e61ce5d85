"""Admins create, update and delete roles."""

import strawberry

from auth.errors import (
    EditConflict,
    PermissionUnknown,
    RoleBuiltIn,
    RoleDescriptionInvalid,
    RoleInUse,
    RoleNameFixed,
    RoleNameInvalid,
    RoleNameTaken,
    RoleNotFound,
)
from auth.role_edits import RoleForm, create_role, delete_role, update_role
from graph.arguments import given, read_role_id
from graph.context import Info
from graph.errors.user_errors import Fails, UserError, errors_field
from graph.permissions import HasPermission
from graph.roles import Role

_FORM_REFUSALS = (RoleNameInvalid, RoleNameTaken, RoleDescriptionInvalid, PermissionUnknown)


@strawberry.input
class CreateRoleInput:
    """The role to create."""

    name: str = strawberry.field(
        description="2 to 64 characters: lowercase letters, digits, `-` or `_`."
    )
    description: str = strawberry.field(
        description="One sentence about the purpose of the role.", default=""
    )
    permissions: list[str] = strawberry.field(
        description="Names from `Query.permissions`; only permissions that the caller holds."
    )


@strawberry.type
class CreateRolePayload:
    """Result of `createRole`."""

    role: Role | None = strawberry.field(description="The created role.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.input
class UpdateRoleInput:
    """The role to update, and the new values; fields that are left out do not change."""

    role_id: strawberry.ID = strawberry.field(description="ID of a role that is not built in.")
    name: str | None = strawberry.field(
        description="The current name of the role; any other name is refused.",
        default=strawberry.UNSET,
        deprecation_reason="The name of a role cannot be changed: `ROLE_NAME_FIXED`.",
    )
    description: str | None = strawberry.field(
        description="One sentence about the purpose of the role.", default=strawberry.UNSET
    )
    permissions: list[str] | None = strawberry.field(
        description="Replaces the permissions of the role; `unknownPermissions` do not change.",
        default=strawberry.UNSET,
    )
    unknown_permissions: list[str] | None = strawberry.field(
        description="The `unknownPermissions` of the role to keep; all of them if left out.",
        default=strawberry.UNSET,
    )
    version: int | None = strawberry.field(
        description="The `version` that the client read; without it, conflicts are not detected.",
        default=strawberry.UNSET,
    )


@strawberry.type
class UpdateRolePayload:
    """Result of `updateRole`."""

    role: Role | None = strawberry.field(description="The updated role.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.input
class DeleteRoleInput:
    """The role to delete."""

    role_id: strawberry.ID = strawberry.field(description="ID of a role that no user has.")


@strawberry.type
class DeleteRolePayload:
    """Result of `deleteRole`."""

    role_id: strawberry.ID | None = strawberry.field(
        description="The ID of the deleted role.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class RoleMutations:
    """The mutations that edit roles."""

    @strawberry.mutation(
        permission_classes=[HasPermission("roles:write")], extensions=[Fails(*_FORM_REFUSALS)]
    )
    async def create_role(self, info: Info, input: CreateRoleInput) -> CreateRolePayload | None:
        """Creates a role."""
        context = info.context
        form = RoleForm(input.name, input.description, input.permissions)
        return CreateRolePayload(
            role=Role.of(await create_role(context.auth, context.viewer, form))
        )

    @strawberry.mutation(
        permission_classes=[HasPermission("roles:write")],
        extensions=[Fails(RoleNotFound, RoleBuiltIn, EditConflict, RoleNameFixed, *_FORM_REFUSALS)],
    )
    async def update_role(self, info: Info, input: UpdateRoleInput) -> UpdateRolePayload | None:
        """Updates a role; the change applies immediately to all users who have it."""
        context = info.context
        role_id = read_role_id(input.role_id)
        form = RoleForm(
            given(input.name),
            given(input.description),
            given(input.permissions),
            given(input.unknown_permissions),
        )
        role = await update_role(context.auth, context.viewer, role_id, form, given(input.version))
        return UpdateRolePayload(role=Role.of(role))

    @strawberry.mutation(
        permission_classes=[HasPermission("roles:write")],
        extensions=[Fails(RoleNotFound, RoleBuiltIn, RoleInUse)],
    )
    async def delete_role(self, info: Info, input: DeleteRoleInput) -> DeleteRolePayload | None:
        """Deletes a role that no user has."""
        context = info.context
        role_id = read_role_id(input.role_id)
        deleted_id = await delete_role(context.auth, context.viewer, role_id)
        return DeleteRolePayload(role_id=strawberry.ID(str(deleted_id)))
