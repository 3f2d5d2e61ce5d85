"""What operators do with accounts: create, disable, enable, give roles."""

import strawberry

from auth.errors import EditConflict, LastAdmin, RoleNotFound, UserNotFound
from auth.user_access import disable_user, enable_user, set_user_roles
from auth.user_creation import NewUserForm, create_user
from graph.arguments import given, read_role_ids, read_user_id
from graph.context import Info
from graph.errors import Fails, UserError, errors_field
from graph.permissions import HasPermission
from graph.refusals import FORM_REFUSALS
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


@strawberry.type
class OperatorMutations:
    """Root fields that change the accounts of others."""

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")],
        extensions=[Fails(*FORM_REFUSALS, RoleNotFound)],
    )
    async def create_user(
        self,
        info: Info,
        input: CreateUserInput,
    ) -> CreateUserPayload | None:
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
        permission_classes=[HasPermission("roles:write")],
        extensions=[Fails(UserNotFound, RoleNotFound, EditConflict, LastAdmin)],
    )
    async def set_user_roles(
        self,
        info: Info,
        input: SetUserRolesInput,
    ) -> SetUserRolesPayload | None:
        """Replaces the roles of a user; nobody grants more than they may do themselves."""
        context = info.context
        user_id, role_ids = read_user_id(input.user_id), read_role_ids(input.role_ids)
        version = given(input.version)
        user = await set_user_roles(context.auth, context.viewer, user_id, role_ids, version)
        return SetUserRolesPayload(user=User.of(user))

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")],
        extensions=[Fails(UserNotFound, LastAdmin)],
    )
    async def disable_user(
        self,
        info: Info,
        input: DisableUserInput,
    ) -> DisableUserPayload | None:
        """Ends a person's access at once: every session, whatever token they hold."""
        context = info.context
        user = await disable_user(context.auth, context.viewer, read_user_id(input.user_id))
        return DisableUserPayload(user=User.of(user))

    @strawberry.mutation(
        permission_classes=[HasPermission("users:write")], extensions=[Fails(UserNotFound)]
    )
    async def enable_user(
        self,
        info: Info,
        input: EnableUserInput,
    ) -> EnableUserPayload | None:
        """Lets a disabled person log in again; their old sessions stay ended."""
        context = info.context
        user = await enable_user(context.auth, context.viewer, read_user_id(input.user_id))
        return EnableUserPayload(user=User.of(user))
