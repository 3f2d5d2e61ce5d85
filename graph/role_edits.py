"""What operators do with roles in GraphQL: make, change and delete their own."""

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
    """The role to make."""

    name: str = strawberry.field(description="2 to 64 small letters, digits, `-` or `_`.")
    description: str = strawberry.field(
        description="One sentence on what the role is for.", default=""
    )
    permissions: list[str] = strawberry.field(
        description="What it permits, of `permissions`; nothing that you may not do yourself."
    )


@strawberry.type
class CreateRolePayload:
    """Result of `createRole`."""

    role: Role | None = strawberry.field(description="The new role.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.input
class UpdateRoleInput:
    """Which role, and what shall be different; what is left out stays."""

    role_id: strawberry.ID = strawberry.field(description="One of `roles` that is not built in.")
    name: str | None = strawberry.field(
        description="The present name of the role; any other is refused.",
        default=strawberry.UNSET,
        deprecation_reason="The name of a role cannot be changed: `ROLE_NAME_FIXED`.",
    )
    description: str | None = strawberry.field(
        description="One sentence on what the role is for.", default=strawberry.UNSET
    )
    permissions: list[str] | None = strawberry.field(
        description="All that it permits from now on; `unknownPermissions` of the role stay.",
        default=strawberry.UNSET,
    )
    unknown_permissions: list[str] | None = strawberry.field(
        description="Those `unknownPermissions` of the role that stay; left out, all of them.",
        default=strawberry.UNSET,
    )
    version: int | None = strawberry.field(
        description="`version` of the role that was edited; left out, the last edit wins.",
        default=strawberry.UNSET,
    )


@strawberry.type
class UpdateRolePayload:
    """Result of `updateRole`."""

    role: Role | None = strawberry.field(description="The role as it is now.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.input
class DeleteRoleInput:
    """Which role to delete."""

    role_id: strawberry.ID = strawberry.field(description="A role that nobody has.")


@strawberry.type
class DeleteRolePayload:
    """Result of `deleteRole`."""

    role_id: strawberry.ID | None = strawberry.field(
        description="The role that is no more.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class RoleMutations:
    """Root fields that change roles."""

    @strawberry.mutation(
        permission_classes=[HasPermission("roles:write")], extensions=[Fails(*_FORM_REFUSALS)]
    )
    async def create_role(self, info: Info, input: CreateRoleInput) -> CreateRolePayload | None:
        """Makes a role."""
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
        """Changes a role, for everybody who has it, at once."""
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
        """Deletes a role that nobody has."""
        context = info.context
        role_id = read_role_id(input.role_id)
        gone = await delete_role(context.auth, context.viewer, role_id)
        return DeleteRolePayload(role_id=strawberry.ID(str(gone)))
