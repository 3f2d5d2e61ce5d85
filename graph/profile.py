"""Profile: a user edits their own account."""

import strawberry

from auth.errors import EditConflict, FullNameInvalid, RateLimited
from auth.profile import update_profile
from graph.arguments import given
from graph.context import Info
from graph.errors.user_errors import Fails, UserError, errors_field
from graph.permissions import IsAuthenticated
from graph.users import User


@strawberry.input
class UpdateProfileInput:
    """What shall be different."""

    full_name: str | None = strawberry.field(description="Name for people; null for none.")
    version: int | None = strawberry.field(
        description="`version` of the account that was edited; left out, the last edit wins.",
        default=strawberry.UNSET,
    )


@strawberry.type
class UpdateProfilePayload:
    """Result of `updateProfile`."""

    user: User | None = strawberry.field(description="The account as it is now.", default=None)
    errors: list[UserError] = errors_field()


@strawberry.type
class ProfileMutations:
    """The mutation that edits the profile."""

    @strawberry.mutation(
        permission_classes=[IsAuthenticated],
        extensions=[Fails(FullNameInvalid, EditConflict, RateLimited)],
    )
    async def update_profile(
        self, info: Info, input: UpdateProfileInput
    ) -> UpdateProfilePayload | None:
        """Changes what one may change about oneself at any time."""
        context = info.context
        user = await update_profile(
            context.auth,
            context.viewer,
            full_name=input.full_name,
            version=given(input.version),
        )
        return UpdateProfilePayload(user=User.of(user))
