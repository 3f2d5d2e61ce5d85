"""Admins create, update and delete users, and replace their passwords."""

import strawberry

from auth.account_deletion import delete_user
from auth.errors import (
    EditConflict,
    EmailMissing,
    LastAdmin,
    MailUnavailable,
    RateLimited,
    RoleNotFound,
    UserNotFound,
)
from auth.password_reset import require_password_reset
from auth.temporary_passwords import set_temporary_password
from auth.user_creation import NewUserForm, create_user
from auth.user_edits import UNCHANGED, UserEdit, update_user
from graph.arguments import given, read_role_ids, read_user_id
from graph.context import Info
from graph.errors.graphql_errors import BadUserInput
from graph.errors.user_errors import (
    FORM_REFUSALS,
    NAME_REFUSALS,
    PASSWORD_REFUSALS,
    Fails,
    UserError,
    errors_field,
)
from graph.permissions import HasPermission
from graph.users import User


@strawberry.input
class CreateUserInput:
    """The user to create."""

    username: str = strawberry.field(
        description="2 to 64 characters: letters, digits, `.`, `-` or `_`."
    )
    email: str | None = strawberry.field(
        description="Email address; optional.", default=strawberry.UNSET
    )
    password: str | None = strawberry.field(
        description="A temporary password, which the user must replace within seven days, at the"
        " first sign-in. Without it, the user receives an email with a link to choose one.",
        default=strawberry.UNSET,
    )
    full_name: str | None = strawberry.field(
        description="Full name; optional.", default=strawberry.UNSET
    )
    role_ids: list[strawberry.ID] = strawberry.field(
        description="IDs of the roles of the user; any role also requires `roles:write`.",
        default_factory=list,
    )


@strawberry.type
class CreateUserPayload:
    """Result of `createUser`."""

    user: User | None = strawberry.field(description="The created user.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.input
class UpdateUserInput:
    """The user to update, and the new values; fields that are left out do not change."""

    user_id: strawberry.ID = strawberry.field(description="ID of the user to update.")
    username: str | None = strawberry.field(
        description="2 to 64 characters: letters, digits, `.`, `-` or `_`.",
        default=strawberry.UNSET,
    )
    email: str | None = strawberry.field(
        description="Email address, which becomes unverified; null removes it.",
        default=strawberry.UNSET,
    )
    full_name: str | None = strawberry.field(
        description="Full name; null removes it.", default=strawberry.UNSET
    )
    version: int | None = strawberry.field(
        description="The `version` that the client read; without it, conflicts are not detected.",
        default=strawberry.UNSET,
    )


@strawberry.type
class UpdateUserPayload:
    """Result of `updateUser`."""

    user: User | None = strawberry.field(description="The updated user.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.input
class DeleteUserInput:
    """The user to delete."""

    user_id: strawberry.ID = strawberry.field(description="ID of the user to delete permanently.")


@strawberry.type
class DeleteUserPayload:
    """Result of `deleteUser`."""

    user_id: strawberry.ID | None = strawberry.field(
        description="The ID of the deleted user.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.input
class RequirePasswordResetInput:
    """The user who must choose a new password."""

    user_id: strawberry.ID = strawberry.field(description="ID of the user.")


@strawberry.type
class RequirePasswordResetPayload:
    """Result of `requirePasswordReset`."""

    user: User | None = strawberry.field(description="The user, who receives a link.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.input
class SetTemporaryPasswordInput:
    """The user, and the temporary password."""

    user_id: strawberry.ID = strawberry.field(description="ID of the user.")
    password: str = strawberry.field(
        description="The temporary password, which the user must replace within seven days; never"
        " logged."
    )


@strawberry.type
class SetTemporaryPasswordPayload:
    """Result of `setTemporaryPassword`."""

    user: User | None = strawberry.field(
        description="The user, who must choose a new password at the next sign-in.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class UserEditMutations:
    """The mutations that edit other users."""

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")],
        extensions=[Fails(*FORM_REFUSALS, RoleNotFound)],
    )
    async def create_user(self, info: Info, input: CreateUserInput) -> CreateUserPayload | None:
        """Creates a user."""
        form = NewUserForm(
            username=input.username,
            email=given(input.email),
            full_name=given(input.full_name),
            password=given(input.password),
        )
        context = info.context
        role_ids = read_role_ids(input.role_ids)
        user = await create_user(context.auth, context.viewer, form, role_ids)
        return CreateUserPayload(user=User.of(user))

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")],
        extensions=[
            Fails(UserNotFound, EditConflict, *NAME_REFUSALS, RateLimited, repeatable=True)
        ],
    )
    async def update_user(self, info: Info, input: UpdateUserInput) -> UpdateUserPayload | None:
        """Updates a user. The caller must hold all permissions of that user."""
        context = info.context
        user_id = read_user_id(input.user_id)
        user = await update_user(context.auth, context.viewer, user_id, _edit(input))
        return UpdateUserPayload(user=User.of(user))

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")],
        extensions=[Fails(UserNotFound, LastAdmin)],
    )
    async def delete_user(self, info: Info, input: DeleteUserInput) -> DeleteUserPayload | None:
        """Deletes a user immediately and permanently."""
        context = info.context
        user_id = await delete_user(context.auth, context.viewer, read_user_id(input.user_id))
        return DeleteUserPayload(user_id=strawberry.ID(str(user_id)))

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")],
        extensions=[
            Fails(UserNotFound, EmailMissing, MailUnavailable, RateLimited, repeatable=True)
        ],
    )
    async def require_password_reset(
        self, info: Info, input: RequirePasswordResetInput
    ) -> RequirePasswordResetPayload | None:
        """Revokes the password and all sessions of a user, and sends a password reset link."""
        context = info.context
        user_id = read_user_id(input.user_id)
        user = await require_password_reset(context.auth, context.viewer, user_id)
        return RequirePasswordResetPayload(user=User.of(user))

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")],
        extensions=[Fails(UserNotFound, RateLimited, *PASSWORD_REFUSALS)],
    )
    async def set_temporary_password(
        self, info: Info, input: SetTemporaryPasswordInput
    ) -> SetTemporaryPasswordPayload | None:
        """Sets a temporary password, valid for seven days, and ends all sessions and links."""
        context = info.context
        user_id = read_user_id(input.user_id)
        user = await set_temporary_password(context.auth, context.viewer, user_id, input.password)
        return SetTemporaryPasswordPayload(user=User.of(user))


def _edit(input: UpdateUserInput) -> UserEdit:
    left_out = strawberry.UNSET
    if input.username is None:
        raise BadUserInput("`username` cannot be null. Leave it out to keep the current one.")
    return UserEdit(
        username=UNCHANGED if input.username is left_out else input.username,
        email=UNCHANGED if input.email is left_out else input.email,
        full_name=UNCHANGED if input.full_name is left_out else input.full_name,
        version=None if input.version is left_out else input.version,
    )
