"""One's own account in GraphQL: registration, and the password."""

from typing import Annotated

import strawberry

from auth.accounts import register
from auth.errors import RateLimited, RegistrationClosed, WrongPassword
from auth.new_users import NewUserForm
from auth.password_change import change_password
from graph.arguments import given
from graph.context import Info
from graph.errors import Fails, UserError, errors_field
from graph.operators import FORM_REFUSALS, PASSWORD_REFUSALS
from graph.permissions import IsAuthenticated, Public
from graph.users import User


@strawberry.input(description="The account to register.")
class RegisterInput:
    """The account to register."""

    username: str = strawberry.field(description="2 to 64 letters, digits, `.`, `-` or `_`.")
    email: str = strawberry.field(description="E-mail address.")
    password: str = strawberry.field(description="As typed; never logged.")
    full_name: str | None = strawberry.field(
        description="Name for people.", default=strawberry.UNSET
    )


@strawberry.type(
    description="Result of `register`: `user` on success, `errors` on refusal. It does not log in."
)
class RegisterPayload:
    """Result of `register`."""

    user: User | None = strawberry.field(description="The new account.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.input(description="The current password and the next.")
class ChangePasswordInput:
    """The current password and the next."""

    current_password: str = strawberry.field(description="As typed; never logged.")
    new_password: str = strawberry.field(description="As typed; never logged.")


@strawberry.type(description="Result of `changePassword`.")
class ChangePasswordPayload:
    """Result of `changePassword`."""

    user: User | None = strawberry.field(description="Whose password it is.", default=None)
    ended_sessions: int | None = strawberry.field(
        description="How many other sessions were ended; this one goes on.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class AccountMutations:
    """Root fields about one's own account."""

    @strawberry.mutation(
        description="Creates one's own account; `login` then starts a session.",
        permission_classes=[Public],
        extensions=[Fails(*FORM_REFUSALS, RegistrationClosed)],
    )
    async def register(
        self,
        info: Info,
        input: Annotated[
            RegisterInput, strawberry.argument(description="The account to register.")
        ],
    ) -> RegisterPayload:
        form = NewUserForm(
            username=input.username,
            email=input.email,
            full_name=given(input.full_name),
            password=input.password,
        )
        return RegisterPayload(
            user=User.of(await register(info.context.auth, info.context.client, form))
        )

    @strawberry.mutation(
        description="Changes one's own password, and ends every other session.",
        permission_classes=[IsAuthenticated],
        extensions=[Fails(WrongPassword, RateLimited, *PASSWORD_REFUSALS)],
    )
    async def change_password(
        self,
        info: Info,
        input: Annotated[
            ChangePasswordInput,
            strawberry.argument(description="The current password and the next."),
        ],
    ) -> ChangePasswordPayload | None:
        viewer = info.context.viewer
        ended = await change_password(
            info.context.auth, viewer, current=input.current_password, new=input.new_password
        )
        return ChangePasswordPayload(user=User.of(viewer.user), ended_sessions=ended)
