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
    """The account whose password was forgotten."""

    email: str = strawberry.field(description="The email address of the account.")


@strawberry.type
class RequestPasswordResetPayload:
    """Result of `requestPasswordReset`; does not reveal if the account exists."""

    email_sent_to: str | None = strawberry.field(
        description="The address that receives a link if it belongs to an account.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.input
class ResetPasswordInput:
    """The token from the link, and the new password."""

    token: str = strawberry.field(description="The token from the link in the email.")
    new_password: str = strawberry.field(description="Never logged.")


@strawberry.type
class ResetPasswordPayload:
    """Result of `resetPassword`. Does not sign in."""

    ended_sessions: int | None = strawberry.field(
        description="Number of ended sessions: all sessions of the user.", default=None
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
        """Sends a password reset link if an account has the address."""
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
        """Sets a new password with the token of a reset link, and ends all sessions."""
        context = info.context
        done = await reset_password(
            context.auth, context.client, token=input.token, new=input.new_password
        )
        await remember_device(context, done.user_id)
        return ResetPasswordPayload(ended_sessions=done.ended_sessions)
