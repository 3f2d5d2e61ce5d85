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
    """The new values of the profile."""

    full_name: str | None = strawberry.field(description="Full name; null removes it.")
    version: int | None = strawberry.field(
        description="The `version` that the client read; without it, conflicts are not detected.",
        default=strawberry.UNSET,
    )


@strawberry.type
class UpdateProfilePayload:
    """Result of `updateProfile`."""

    user: User | None = strawberry.field(description="The updated account.", default=None)
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
        """Updates the caller's profile."""
        context = info.context
        user = await update_profile(
            context.auth,
            context.viewer,
            full_name=input.full_name,
            version=given(input.version),
        )
        return UpdateProfilePayload(user=User.of(user))
