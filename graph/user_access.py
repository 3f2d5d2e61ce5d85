"""Admins disable and enable users, set their roles and end their sessions."""

import strawberry

from auth.errors import EditConflict, LastAdmin, RoleNotFound, UserNotFound
from auth.user_access import disable_user, enable_user, revoke_user_sessions, set_user_roles
from graph.arguments import given, read_role_ids, read_user_id
from graph.context import Info
from graph.errors.user_errors import Fails, UserError, errors_field
from graph.permissions import HasPermission
from graph.users import User


@strawberry.input
class DisableUserInput:
    """Whom to disable."""

    user_id: strawberry.ID = strawberry.field(description="The user to shut out.")


@strawberry.type
class DisableUserPayload:
    """Result of `disableUser`."""

    user: User | None = strawberry.field(description="The disabled account.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.input
class EnableUserInput:
    """Whom to enable."""

    user_id: strawberry.ID = strawberry.field(description="The user to let in again.")


@strawberry.type
class EnableUserPayload:
    """Result of `enableUser`."""

    user: User | None = strawberry.field(description="The enabled account.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.input
class SetUserRolesInput:
    """Whose roles, and which."""

    user_id: strawberry.ID = strawberry.field(description="The user to change.")
    role_ids: list[strawberry.ID] = strawberry.field(
        description="All roles the user shall have; an empty list takes every role away."
    )
    version: int | None = strawberry.field(
        description="`version` of the account that was edited; left out, the last edit wins.",
        default=strawberry.UNSET,
    )


@strawberry.type
class SetUserRolesPayload:
    """Result of `setUserRoles`."""

    user: User | None = strawberry.field(
        description="The account with its new roles.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.input
class RevokeUserSessionsInput:
    """Whose sessions to end."""

    user_id: strawberry.ID = strawberry.field(description="The user to sign out everywhere.")


@strawberry.type
class RevokeUserSessionsPayload:
    """Result of `revokeUserSessions`."""

    ended_sessions: int | None = strawberry.field(
        description="How many sessions were ended.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class UserAccessMutations:
    """The mutations that control the access of other users."""

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")],
        extensions=[Fails(UserNotFound, LastAdmin)],
    )
    async def disable_user(self, info: Info, input: DisableUserInput) -> DisableUserPayload | None:
        """Ends a person's access at once: every session, whatever token they hold."""
        context = info.context
        user = await disable_user(context.auth, context.viewer, read_user_id(input.user_id))
        return DisableUserPayload(user=User.of(user))

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")], extensions=[Fails(UserNotFound)]
    )
    async def enable_user(self, info: Info, input: EnableUserInput) -> EnableUserPayload | None:
        """Lets a disabled person log in again; their old sessions stay ended."""
        context = info.context
        user = await enable_user(context.auth, context.viewer, read_user_id(input.user_id))
        return EnableUserPayload(user=User.of(user))

    @strawberry.mutation(
        permission_classes=[HasPermission("roles:write")],
        extensions=[Fails(UserNotFound, RoleNotFound, EditConflict, LastAdmin)],
    )
    async def set_user_roles(
        self, info: Info, input: SetUserRolesInput
    ) -> SetUserRolesPayload | None:
        """Replaces the roles of a user; nobody grants more than they may do themselves."""
        context = info.context
        user_id, role_ids = read_user_id(input.user_id), read_role_ids(input.role_ids)
        version = given(input.version)
        user = await set_user_roles(context.auth, context.viewer, user_id, role_ids, version)
        return SetUserRolesPayload(user=User.of(user))

    @strawberry.mutation(
        permission_classes=[HasPermission("sessions:revoke")], extensions=[Fails(UserNotFound)]
    )
    async def revoke_user_sessions(
        self, info: Info, input: RevokeUserSessionsInput
    ) -> RevokeUserSessionsPayload | None:
        """Signs a user out everywhere."""
        context = info.context
        user_id = read_user_id(input.user_id)
        ended = await revoke_user_sessions(context.auth, context.viewer, user_id)
        return RevokeUserSessionsPayload(ended_sessions=ended)
