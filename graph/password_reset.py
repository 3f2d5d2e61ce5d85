"""Password reset: request a link, follow it, choose a new password."""

import strawberry

from auth.errors import EmailInvalid, LinkInvalid, MailUnavailable, RateLimited
from auth.names import parse_email
from auth.password_reset import request_password_reset, reset_password
from graph.context import Info
from graph.devices import remember_device
from graph.errors.user_errors import PASSWORD_REFUSALS, Fails, UserError, errors_field
from graph.permissions import Public


@strawberry.input
class RequestPasswordResetInput:
    """Whose password was forgotten."""

    email: str = strawberry.field(description="The e-mail address of the account.")


@strawberry.type
class RequestPasswordResetPayload:
    """Result of `requestPasswordReset`: the same whether or not there is an account."""

    email_sent_to: str | None = strawberry.field(
        description="Where a link is sent, if an account has the address.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.input
class ResetPasswordInput:
    """The proof, and the next password."""

    token: str = strawberry.field(description="The token out of the link in the mail.")
    new_password: str = strawberry.field(description="As typed; never logged.")


@strawberry.type
class ResetPasswordPayload:
    """Result of `resetPassword`. It does not log in."""

    ended_sessions: int | None = strawberry.field(
        description="How many sessions were ended: all there were.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class PasswordResetMutations:
    """The mutations of password reset."""

    @strawberry.mutation(
        permission_classes=[Public], extensions=[Fails(MailUnavailable, EmailInvalid, RateLimited)]
    )
    async def request_password_reset(
        self, info: Info, input: RequestPasswordResetInput
    ) -> RequestPasswordResetPayload:
        """Sends a link to choose another password, if an account has the address."""
        context = info.context
        await request_password_reset(
            context.auth, context.client, email=input.email, proofs=context.cookies.device_proofs
        )
        return RequestPasswordResetPayload(email_sent_to=parse_email(input.email))

    @strawberry.mutation(
        permission_classes=[Public],
        extensions=[Fails(LinkInvalid, RateLimited, *PASSWORD_REFUSALS)],
    )
    async def reset_password(self, info: Info, input: ResetPasswordInput) -> ResetPasswordPayload:
        """Sets another password by the link in the mail, and ends every session."""
        context = info.context
        done = await reset_password(
            context.auth, context.client, token=input.token, new=input.new_password
        )
        await remember_device(context, done.user_id)
        return ResetPasswordPayload(ended_sessions=done.ended_sessions)
