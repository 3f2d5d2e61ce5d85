"""Account export: a user downloads their own data."""

import strawberry

from auth.account_export import export_account
from auth.errors import RateLimited
from graph.context import Info
from graph.errors.user_errors import Fails, UserError, errors_field
from graph.permissions import IsAuthenticated


@strawberry.type
class ExportAccountPayload:
    """Result of `exportAccount`."""

    document: str | None = strawberry.field(
        description="A JSON document with the account, its sessions and its audit events.",
        default=None,
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class AccountExportMutations:
    """The mutation that exports the account."""

    @strawberry.mutation(permission_classes=[IsAuthenticated], extensions=[Fails(RateLimited)])
    async def export_account(self, info: Info) -> ExportAccountPayload | None:
        """Returns all data that the server stores about the caller."""
        context = info.context
        return ExportAccountPayload(document=await export_account(context.auth, context.viewer))
