"""Password change: a signed-in user replaces the password."""

import strawberry

from auth.errors import RateLimited, WrongPassword
from auth.password_change import change_password
from graph.context import Info
from graph.devices import remember_device
from graph.errors.user_errors import PASSWORD_REFUSALS, Fails, UserError, errors_field
from graph.permissions import IsAuthenticated
from graph.users import User


@strawberry.input
class ChangePasswordInput:
    """The current password and the new one."""

    current_password: str = strawberry.field(description="Never logged.")
    new_password: str = strawberry.field(description="Never logged.")


@strawberry.type
class ChangePasswordPayload:
    """Result of `changePassword`."""

    user: User | None = strawberry.field(description="The user.", default=None)
    ended_sessions: int | None = strawberry.field(
        description="Number of ended sessions; the current session continues.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class PasswordChangeMutations:
    """The mutation that changes the password."""

    @strawberry.mutation(
        permission_classes=[IsAuthenticated],
        extensions=[Fails(WrongPassword, RateLimited, *PASSWORD_REFUSALS)],
    )
    async def change_password(
        self, info: Info, input: ChangePasswordInput
    ) -> ChangePasswordPayload | None:
        """Changes the caller's password and ends all their other sessions."""
        context, viewer = info.context, info.context.viewer
        ended = await change_password(
            context.auth, viewer, current=input.current_password, new=input.new_password
        )
        await remember_device(context, viewer.user_id)
        return ChangePasswordPayload(user=User.of(viewer.user), ended_sessions=ended)
