"""Registration: a user creates their own account."""

import strawberry

from auth.errors import InvitationInvalid, InvitationRequired, RegistrationClosed
from auth.names import parse_email
from auth.registration import register
from auth.user_creation import NewUserForm
from graph.arguments import given
from graph.context import Info
from graph.devices import remember_device
from graph.errors.user_errors import FORM_REFUSALS, Fails, UserError, errors_field
from graph.permissions import Public
from graph.users import User


@strawberry.input
class RegisterInput:
    """The new account, as the user entered it."""

    username: str = strawberry.field(
        description="2 to 64 characters: letters, digits, `.`, `-` or `_`."
    )
    email: str = strawberry.field(
        description="Email address; the server may require that it is verified first."
    )
    password: str = strawberry.field(description="Never logged.")
    full_name: str | None = strawberry.field(
        description="Full name; optional.", default=strawberry.UNSET
    )
    invitation: str | None = strawberry.field(
        description="The token from the link of an invitation.", default=strawberry.UNSET
    )


@strawberry.type
class RegisterPayload:
    """Result of `register`: either `user` or `emailSentTo` on success. Does not sign in."""

    user: User | None = strawberry.field(
        description="The new account; null if its email address must be verified first.",
        permission_classes=[Public],
        default=None,
    )
    email_sent_to: str | None = strawberry.field(
        description="The address that receives a verification link; null if none is required.",
        default=None,
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class RegistrationMutations:
    """The mutation that registers an account."""

    @strawberry.mutation(
        permission_classes=[Public],
        extensions=[
            Fails(*FORM_REFUSALS, RegistrationClosed, InvitationRequired, InvitationInvalid)
        ],
    )
    async def register(self, info: Info, input: RegisterInput) -> RegisterPayload:
        """Creates an account for the caller. Use `login` to sign in afterwards."""
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
            # Only an invitation proves that the caller owns the address.
            await remember_device(context, user.id)
        return RegisterPayload(user=User.of(user))
