"""Email verification: request a link, follow it."""

import strawberry

from auth.email_verification import request_email_verification, verify_email
from auth.errors import (
    EmailAlreadyVerified,
    EmailMissing,
    EmailTaken,
    LinkInvalid,
    MailUnavailable,
    PasswordChangeRequired,
    PasswordRequired,
    RateLimited,
    UsernameTaken,
    WrongPassword,
)
from auth.link_passwords import TypedPassword
from graph.arguments import given
from graph.context import Info
from graph.devices import remember_device
from graph.errors.user_errors import PASSWORD_REFUSALS, Fails, UserError, errors_field
from graph.permissions import IsAuthenticated, Public
from graph.users import User


@strawberry.type
class RequestEmailVerificationPayload:
    """Result of `requestEmailVerification`."""

    email_sent_to: str | None = strawberry.field(
        description="The address that received the link.", default=None
    )
    errors: list[UserError] = errors_field()


@strawberry.input
class VerifyEmailInput:
    """The token from the link, and either `password` or `newPassword`.

    The link alone does not prove who chose the password.
    """

    token: str = strawberry.field(description="The token from the link in the email.")
    password: str | None = strawberry.field(
        description="The current password of the account; never logged.",
        default=strawberry.UNSET,
    )
    new_password: str | None = strawberry.field(
        description="Replaces a password that the owner of the address does not know or did not"
        " choose. Ends all sessions of the account; `password` is ignored. Never logged.",
        default=strawberry.UNSET,
    )


@strawberry.type
class VerifyEmailPayload:
    """Result of `verifyEmail`. Does not sign in."""

    user: User | None = strawberry.field(
        description="The account; it is created now if it waited for the verification.",
        permission_classes=[Public],
        default=None,
    )
    errors: list[UserError] = errors_field()


@strawberry.type
class EmailVerificationMutations:
    """The mutations of email verification."""

    @strawberry.mutation(
        permission_classes=[IsAuthenticated],
        extensions=[Fails(MailUnavailable, EmailMissing, EmailAlreadyVerified, RateLimited)],
    )
    async def request_email_verification(
        self, info: Info
    ) -> RequestEmailVerificationPayload | None:
        """Sends a verification link to the email address of the caller."""
        viewer = info.context.viewer
        await request_email_verification(info.context.auth, viewer)
        return RequestEmailVerificationPayload(email_sent_to=viewer.user.email)

    @strawberry.mutation(
        permission_classes=[Public],
        extensions=[
            Fails(
                LinkInvalid,
                UsernameTaken,
                EmailTaken,
                PasswordRequired,
                WrongPassword,
                PasswordChangeRequired,
                RateLimited,
                *PASSWORD_REFUSALS,
            )
        ],
    )
    async def verify_email(self, info: Info, input: VerifyEmailInput) -> VerifyEmailPayload:
        """Verifies an email address and completes a registration that waited for it."""
        context = info.context
        typed = TypedPassword(given(input.password), given(input.new_password))
        user = await verify_email(context.auth, context.client, input.token, typed)
        await remember_device(context, user.id)
        return VerifyEmailPayload(user=User.of(user))
