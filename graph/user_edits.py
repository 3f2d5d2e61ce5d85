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
    """The account to create."""

    username: str = strawberry.field(description="2 to 64 letters, digits, `.`, `-` or `_`.")
    email: str | None = strawberry.field(description="E-mail address.", default=strawberry.UNSET)
    password: str | None = strawberry.field(
        description="A temporary password: the owner must replace it at the first login, within"
        " seven days. Without one they are sent a link to choose theirs.",
        default=strawberry.UNSET,
    )
    full_name: str | None = strawberry.field(
        description="Name for people.", default=strawberry.UNSET
    )
    role_ids: list[strawberry.ID] = strawberry.field(
        description="The roles to begin with; giving any needs `roles:write` too.",
        default_factory=list,
    )


@strawberry.type
class CreateUserPayload:
    """Result of `createUser`."""

    user: User | None = strawberry.field(description="The new account.", default=None)
    errors: list[UserError] = errors_field()


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
    """The mutations that edit other users."""

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")],
        extensions=[Fails(*FORM_REFUSALS, RoleNotFound)],
    )
    async def create_user(self, info: Info, input: CreateUserInput) -> CreateUserPayload | None:
        """Creates an account for somebody else."""
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
        """Changes an account; nobody changes that of somebody who may do more."""
        context = info.context
        user_id = read_user_id(input.user_id)
        user = await update_user(context.auth, context.viewer, user_id, _edit(input))
        return UpdateUserPayload(user=User.of(user))

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")],
        extensions=[Fails(UserNotFound, LastAdmin)],
    )
    async def delete_user(self, info: Info, input: DeleteUserInput) -> DeleteUserPayload | None:
        """Deletes an account, for good and at once."""
        context = info.context
        gone = await delete_user(context.auth, context.viewer, read_user_id(input.user_id))
        return DeleteUserPayload(user_id=strawberry.ID(str(gone)))

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")],
        extensions=[
            Fails(UserNotFound, EmailMissing, MailUnavailable, RateLimited, repeatable=True)
        ],
    )
    async def require_password_reset(
        self, info: Info, input: RequirePasswordResetInput
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
        raise BadUserInput("`username` cannot be taken away: leave it out, or give another.")
    return UserEdit(
        username=UNCHANGED if input.username is left_out else input.username,
        email=UNCHANGED if input.email is left_out else input.email,
        full_name=UNCHANGED if input.full_name is left_out else input.full_name,
        version=None if input.version is left_out else input.version,
    )
