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
    """The user to disable."""

    user_id: strawberry.ID = strawberry.field(description="ID of the user to disable.")


@strawberry.type
class DisableUserPayload:
    """Result of `disableUser`."""

    user: User | None = strawberry.field(description="The disabled user.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.input
class EnableUserInput:
    """The user to enable."""

    user_id: strawberry.ID = strawberry.field(description="ID of the user to enable.")


@strawberry.type
class EnableUserPayload:
    """Result of `enableUser`."""

    user: User | None = strawberry.field(description="The enabled user.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.input
class SetUserRolesInput:
    """The user, and all their roles."""

    user_id: strawberry.ID = strawberry.field(description="ID of the user.")
    role_ids: list[strawberry.ID] = strawberry.field(
        description="IDs of all roles of the user; an empty list removes all roles."
    )
    version: int | None = strawberry.field(
        description="The `version` that the client read; without it, conflicts are not detected.",
        default=strawberry.UNSET,
    )


@strawberry.type
class SetUserRolesPayload:
    """Result of `setUserRoles`."""

    user: User | None = strawberry.field(description="The user with the new roles.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.input
class RevokeUserSessionsInput:
    """The user whose sessions end."""

    user_id: strawberry.ID = strawberry.field(description="ID of the user to sign out everywhere.")


@strawberry.type
class RevokeUserSessionsPayload:
    """Result of `revokeUserSessions`."""

    ended_sessions: int | None = strawberry.field(
        description="Number of ended sessions.", default=None
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
        """Disables a user and ends all their sessions immediately."""
        context = info.context
        user = await disable_user(context.auth, context.viewer, read_user_id(input.user_id))
        return DisableUserPayload(user=User.of(user))

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")], extensions=[Fails(UserNotFound)]
    )
    async def enable_user(self, info: Info, input: EnableUserInput) -> EnableUserPayload | None:
        """Enables a disabled user, who can then sign in again."""
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
        """Replaces the roles of a user.

        The caller must hold all permissions of the roles that are added or removed.
        """
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
        """Ends all sessions of a user."""
        context = info.context
        user_id = read_user_id(input.user_id)
        ended = await revoke_user_sessions(context.auth, context.viewer, user_id)
        return RevokeUserSessionsPayload(ended_sessions=ended)
