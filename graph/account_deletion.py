"""Account deletion: a user deletes their own account."""

import strawberry

from auth.account_deletion import delete_account
from auth.errors import LastAdmin, RateLimited, WrongPassword
from graph.context import Info
from graph.errors.user_errors import Fails, UserError, errors_field
from graph.permissions import IsAuthenticated


@strawberry.input
class DeleteAccountInput:
    """The password that confirms the deletion."""

    password: str = strawberry.field(description="The current password; never logged.")


@strawberry.type
class DeleteAccountPayload:
    """Result of `deleteAccount`."""

    user_id: strawberry.ID | None = strawberry.field(
        description="The ID of the deleted account.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class AccountDeletionMutations:
    """The mutation that deletes the account."""

    @strawberry.mutation(
        permission_classes=[IsAuthenticated],
        extensions=[Fails(WrongPassword, RateLimited, LastAdmin)],
    )
    async def delete_account(
        self, info: Info, input: DeleteAccountInput
    ) -> DeleteAccountPayload | None:
        """Deletes the caller's account immediately and permanently."""
        context = info.context
        user_id = await delete_account(context.auth, context.viewer, password=input.password)
        return DeleteAccountPayload(user_id=strawberry.ID(str(user_id)))
