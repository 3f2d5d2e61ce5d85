"""How operators change accounts in GraphQL, end their sessions, and end them."""

import strawberry

from auth.account_deletion import delete_user
from auth.errors import (
    EditConflict,
    EmailMissing,
    LastAdmin,
    MailUnavailable,
    RateLimited,
    UserNotFound,
)
from auth.password_reset import require_password_reset
from auth.temporary_passwords import set_temporary_password
from auth.user_access import revoke_user_sessions
from auth.user_edits import UNCHANGED, UserEdit, update_user
from graph.arguments import read_user_id
from graph.context import Info
from graph.errors import BadUserInput, Fails, UserError, errors_field
from graph.permissions import HasPermission
from graph.refusals import NAME_REFUSALS, PASSWORD_REFUSALS
from graph.users import User


@strawberry.input
class UpdateUserInput:
    """Which account, and what shall be different; what is left out stays."""

    user_id: strawberry.ID = strawberry.field(description="The user to change.")
    username: str | None = strawberry.field(
        description="2 to 64 letters, digits, `.`, `-` or `_`.", default=strawberry.UNSET
    )
    email: str | None = strawberry.field(
        description="E-mail address, which is not verified then; null takes it away.",
        default=strawberry.UNSET,
    )
    full_name: str | None = strawberry.field(
        description="Name for people; null takes it away.", default=strawberry.UNSET
    )
    version: int | None = strawberry.field(
        description="`version` of the account that was edited; left out, the last edit wins.",
        default=strawberry.UNSET,
    )


@strawberry.type
class UpdateUserPayload:
    """Result of `updateUser`."""

    user: User | None = strawberry.field(description="The account as it is now.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.input
class DeleteUserInput:
    """Whom to delete."""

    user_id: strawberry.ID = strawberry.field(description="The user to delete, for good.")


@strawberry.type
class DeleteUserPayload:
    """Result of `deleteUser`."""

    user_id: strawberry.ID | None = strawberry.field(
        description="The account that is no more.", default=None
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


@strawberry.input
class RequirePasswordResetInput:
    """Who shall choose another password."""

    user_id: strawberry.ID = strawberry.field(description="The user to ask.")


@strawberry.type
class RequirePasswordResetPayload:
    """Result of `requirePasswordReset`."""

    user: User | None = strawberry.field(description="Who was sent a link.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.input
class SetTemporaryPasswordInput:
    """The user, and their temporary password."""

    user_id: strawberry.ID = strawberry.field(description="The user who gets it.")
    password: str = strawberry.field(
        description="Allows choosing another one for seven days; never logged."
    )


@strawberry.type
class SetTemporaryPasswordPayload:
    """Result of `setTemporaryPassword`."""

    user: User | None = strawberry.field(
        description="The user who has to choose another password at the next sign-in.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class UserEditMutations:
    """Root fields that change the accounts of others."""

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")],
        extensions=[
            Fails(UserNotFound, EditConflict, *NAME_REFUSALS, RateLimited, repeatable=True)
        ],
    )
    async def update_user(
        self,
        info: Info,
        input: UpdateUserInput,
    ) -> UpdateUserPayload | None:
        """Changes an account; nobody changes that of somebody who may do more."""
        context = info.context
        user_id = read_user_id(input.user_id)
        user = await update_user(context.auth, context.viewer, user_id, _edit(input))
        return UpdateUserPayload(user=User.of(user))

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")],
        extensions=[Fails(UserNotFound, LastAdmin)],
    )
    async def delete_user(
        self,
        info: Info,
        input: DeleteUserInput,
    ) -> DeleteUserPayload | None:
        """Deletes an account, for good and at once."""
        context = info.context
        gone = await delete_user(context.auth, context.viewer, read_user_id(input.user_id))
        return DeleteUserPayload(user_id=strawberry.ID(str(gone)))

    @strawberry.mutation(
        permission_classes=[HasPermission("sessions:revoke")], extensions=[Fails(UserNotFound)]
    )
    async def revoke_user_sessions(
        self,
        info: Info,
        input: RevokeUserSessionsInput,
    ) -> RevokeUserSessionsPayload | None:
        """Signs a user out everywhere."""
        context = info.context
        user_id = read_user_id(input.user_id)
        ended = await revoke_user_sessions(context.auth, context.viewer, user_id)
        return RevokeUserSessionsPayload(ended_sessions=ended)

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")],
        extensions=[
            Fails(UserNotFound, EmailMissing, MailUnavailable, RateLimited, repeatable=True)
        ],
    )
    async def require_password_reset(
        self,
        info: Info,
        input: RequirePasswordResetInput,
    ) -> RequirePasswordResetPayload | None:
        """Revokes the password and the sessions of a user and sends a password reset link."""
        context = info.context
        user_id = read_user_id(input.user_id)
        user = await require_password_reset(context.auth, context.viewer, user_id)
        return RequirePasswordResetPayload(user=User.of(user))

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")],
        extensions=[Fails(UserNotFound, RateLimited, *PASSWORD_REFUSALS)],
    )
    async def set_temporary_password(
        self,
        info: Info,
        input: SetTemporaryPasswordInput,
    ) -> SetTemporaryPasswordPayload | None:
        """Sets a temporary password, valid for seven days, and ends all sessions and links."""
        context = info.context
        user_id = read_user_id(input.user_id)
        user = await set_temporary_password(context.auth, context.viewer, user_id, input.password)
        return SetTemporaryPasswordPayload(user=User.of(user))


def _edit(input: UpdateUserInput) -> UserEdit:
    left_out = strawberry.UNSET
    if input.username is None:
        raise BadUserInput("`username` cannot be taken away: leave it out, or give another.")
    return UserEdit(
        username=UNCHANGED if input.username is left_out else input.username,
        email=UNCHANGED if input.email is left_out else input.email,
        full_name=UNCHANGED if input.full_name is left_out else input.full_name,
        version=None if input.version is left_out else input.version,
    )
