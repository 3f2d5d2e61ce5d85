"""One's own account in GraphQL: its beginning, its profile, its end."""

import strawberry

from auth.account_deletion import delete_account
from auth.account_export import export_account
from auth.errors import (
    EditConflict,
    FullNameInvalid,
    InvitationInvalid,
    InvitationRequired,
    LastAdmin,
    RateLimited,
    RegistrationClosed,
    WrongPassword,
)
from auth.names import parse_email
from auth.profile import update_profile
from auth.registration import register
from auth.user_creation import NewUserForm
from graph.arguments import given
from graph.context import Info
from graph.devices import remember_device
from graph.errors import Fails, UserError, errors_field
from graph.permissions import IsAuthenticated, Public
from graph.refusals import FORM_REFUSALS
from graph.users import User


@strawberry.input
class RegisterInput:
    """The account to register."""

    username: str = strawberry.field(description="2 to 64 letters, digits, `.`, `-` or `_`.")
    email: str = strawberry.field(description="E-mail address.")
    password: str = strawberry.field(description="As typed; never logged.")
    full_name: str | None = strawberry.field(
        description="Name for people.", default=strawberry.UNSET
    )
    invitation: str | None = strawberry.field(
        description="The token out of the link of an invitation.", default=strawberry.UNSET
    )


@strawberry.type
class RegisterPayload:
    """Result of `register`: one of `user` and `emailSentTo` on success, `errors` on refusal.

    It does not log in.
    """

    user: User | None = strawberry.field(
        description="The new account; null where its address has to be verified first.",
        permission_classes=[Public],
        default=None,
    )
    email_sent_to: str | None = strawberry.field(
        description="Where the link was sent that begins the account; null where none is needed.",
        default=None,
    )
    errors: list[UserError] = errors_field()


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


@strawberry.input
class DeleteAccountInput:
    """The proof that it is you."""

    password: str = strawberry.field(description="The current password; never logged.")


@strawberry.type
class DeleteAccountPayload:
    """Result of `deleteAccount`."""

    user_id: strawberry.ID | None = strawberry.field(
        description="The account that is no more.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class ExportAccountPayload:
    """Result of `exportAccount`."""

    document: str | None = strawberry.field(
        description="A JSON document with the account, its sessions and what was done, to keep.",
        default=None,
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class AccountMutations:
    """Root fields about one's own account."""

    @strawberry.mutation(
        permission_classes=[Public],
        extensions=[
            Fails(*FORM_REFUSALS, RegistrationClosed, InvitationRequired, InvitationInvalid)
        ],
    )
    async def register(
        self,
        info: Info,
        input: RegisterInput,
    ) -> RegisterPayload:
        """Creates one's own account; `login` then starts a session."""
        form = NewUserForm(
            username=input.username,
            email=input.email,
            full_name=given(input.full_name),
            password=input.password,
        )
        context = info.context
        invitation = given(input.invitation)
        user = await register(context.auth, context.client, form, invitation)
        if user is None:
            return RegisterPayload(email_sent_to=parse_email(input.email))
        if invitation:
            # Only then it is proved that the address is the caller's.
            await remember_device(context, user.id)
        return RegisterPayload(user=User.of(user))

    @strawberry.mutation(
        permission_classes=[IsAuthenticated],
        extensions=[Fails(FullNameInvalid, EditConflict, RateLimited)],
    )
    async def update_profile(
        self,
        info: Info,
        input: UpdateProfileInput,
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

    @strawberry.mutation(
        permission_classes=[IsAuthenticated],
        extensions=[Fails(WrongPassword, RateLimited, LastAdmin)],
    )
    async def delete_account(
        self,
        info: Info,
        input: DeleteAccountInput,
    ) -> DeleteAccountPayload | None:
        """Deletes one's own account, for good and at once."""
        context = info.context
        user_id = await delete_account(context.auth, context.viewer, password=input.password)
        return DeleteAccountPayload(user_id=strawberry.ID(str(user_id)))

    @strawberry.mutation(permission_classes=[IsAuthenticated], extensions=[Fails(RateLimited)])
    async def export_account(self, info: Info) -> ExportAccountPayload | None:
        """Hands out all that is kept about oneself."""
        context = info.context
        return ExportAccountPayload(document=await export_account(context.auth, context.viewer))
